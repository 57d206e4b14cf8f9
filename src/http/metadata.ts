import { DEFERRAL_TYPE } from '../exchange/deferral-code.ts';
import { CEILING_TYPE, DEFERRED_GRANT, TOKEN_EXCHANGE_GRANT } from '../exchange/request.ts';
import type { DomainView } from '../snapshot/domain-view.ts';
import { PROOF_ALGORITHMS } from '../tokens/dpop-key.ts';

/** RFC 8414 section 2. Scopes and resources are not listed: metadata is public, and who may have what is not. Types of details are (RFC 9396 section 10): clients choose by them. */
export const authorizationServerMetadata = ({ domain, detailTypes }: Pick<DomainView, 'domain' | 'detailTypes'>): object => ({
  issuer: domain.issuer,
  token_endpoint: `${domain.issuer}/token`,
  jwks_uri: `${domain.issuer}/jwks.json`,
  response_types_supported: [],
  grant_types_supported: [TOKEN_EXCHANGE_GRANT, DEFERRED_GRANT],
  deferred_token_response_supported: true,
  token_endpoint_auth_methods_supported: ['none'],
  introspection_endpoint: `${domain.issuer}/introspect`,
  // Access token types of the IANA registry are allowed values here (RFC 8414 section 2).
  introspection_endpoint_auth_methods_supported: ['Bearer', 'DPoP'],
  revocation_endpoint: `${domain.issuer}/revoke`,
  revocation_endpoint_auth_methods_supported: ['none'],
  revocation_endpoint_token_type_values_supported: ['access_token', DEFERRAL_TYPE],
  dpop_signing_alg_values_supported: PROOF_ALGORITHMS,
  authorization_details_types_supported: [CEILING_TYPE, ...detailTypes],
  // Token Status List section 9.1.
  status_list_aggregation_endpoint: `${domain.issuer}/status`,
});

/** OpenID Connect Discovery 1.0 section 3, for verifiers that look nowhere else (AWS IAM is one). No ID token is ever issued. */
export const openidConfiguration = (view: Pick<DomainView, 'domain' | 'detailTypes'>): object => ({
  ...authorizationServerMetadata(view),
  response_types_supported: ['id_token'],
  subject_types_supported: ['public'],
  id_token_signing_alg_values_supported: ['ES256', 'RS256'],
  claims_supported: ['iss', 'sub', 'aud', 'exp', 'iat', 'jti', 'client_id', 'scope', 'sid', 'act', 'cnf', 'status', 'authority'],
});
