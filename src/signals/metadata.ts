import type { Domain } from '../registry/entries.ts';
import { POLL, PUSH } from './stream.ts';

/** SSF 1.0 section 7.1. Every subject of the domain is told of unless it was removed. */
export const transmitterMetadata = ({ issuer }: Pick<Domain, 'issuer'>): object => ({
  spec_version: '1_0',
  issuer,
  jwks_uri: `${issuer}/jwks.json`,
  delivery_methods_supported: [PUSH, POLL],
  configuration_endpoint: `${issuer}/ssf/streams`,
  status_endpoint: `${issuer}/ssf/status`,
  add_subject_endpoint: `${issuer}/ssf/subjects/add`,
  remove_subject_endpoint: `${issuer}/ssf/subjects/remove`,
  verification_endpoint: `${issuer}/ssf/verify`,
  // Who cannot tell sessions, or actors within one, apart would end more than fell.
  critical_subject_members: ['session', 'application'],
  authorization_schemes: [{ spec_urn: 'urn:ietf:rfc:6749' }],
  default_subjects: 'ALL',
});
