import { createLocalJWKSet } from 'jose';
import type { JSONWebKeySet } from 'jose';
import { createAttest } from '../../src/attestation/attest.ts';
import type { Attest } from '../../src/attestation/attest.ts';
import { createVerifyEvidence } from '../../src/attestation/verify-evidence.ts';
import { attestorCatalogue } from '../../src/attestation/catalogue.ts';
import type { Evidence } from '../../src/attestation/evidence.ts';
import type { IssuerKeys } from '../../src/attestation/verify-signature.ts';
import type { Clock } from '../../src/core/clock.ts';
import type { DomainId, IssuerId } from '../../src/core/ids.ts';
import type { Refusal } from '../../src/core/refusal.ts';
import { ok } from '../../src/core/result.ts';
import type { Result } from '../../src/core/result.ts';
import type { Issuer } from '../../src/registry/entries.ts';
import type { ForeignIssuer } from '../support/foreign-issuer.ts';

export const NOW = Date.UTC(2026, 10, 22, 12);
export const AUDIENCE = 'https://sts.acme.example/prod';
export const fixedClock: Clock = { now: () => NOW };

/** An entry as the registry would hold it; `options` is the raw block of its kind, parsed here as registration does. */
export const issuerEntry = (attestor: string, issuer: string, options: unknown, changes: Partial<Issuer> = {}): Issuer => {
  const kind = attestorCatalogue.find(attestor);
  if (kind === undefined) throw new Error(`no attestor ${attestor}`);
  const name = changes.name ?? 'ci';
  return {
    kind: 'issuer', id: `iss_${name}` as IssuerId, version: 1, owner: 'platform@acme.example', domainId: 'dom_prod' as DomainId, name,
    attestor, proves: 'workloads', issuer, audience: AUDIENCE, algorithms: undefined, replay: undefined, jwks: undefined, allowAddresses: [],
    expires: NOW + 1, ...changes, options: kind.options.parse(options),
  };
};

/** Attests against these entries alone, each with the keys that its issuer really serves. */
export const attestWith = (entries: readonly (readonly [Issuer, ForeignIssuer])[], clock: Clock = fixedClock): ((token: string) => Promise<Result<Evidence, Refusal>>) => {
  const servers = new Map(entries.map(([entry, server]) => [entry.id, server]));
  const keys: IssuerKeys = async (entry) => ok(entry.jwks === undefined ? await servedKeys(servers.get(entry.id)) : createLocalJWKSet(entry.jwks));
  const attest: Attest = createAttest({ clock, verify: createVerifyEvidence({ clock, catalogue: attestorCatalogue, keys }) });
  return (token) => attest(token, { candidates: (iss) => entries.map(([entry]) => entry).filter((entry) => entry.issuer === iss), purpose: 'workloads' });
};

/** The refusal's code, or `accepted`: what the rows of these tests compare. */
export const outcome = (result: Result<Evidence, Refusal>): string => (result.ok ? 'accepted' : result.error.code);

export const accepted = (result: Result<Evidence, Refusal>): Evidence => {
  if (!result.ok) throw new Error(`refused: ${result.error.code}: ${result.error.detail}`);
  return result.value;
};

const servedKeys = async (server: ForeignIssuer | undefined): Promise<ReturnType<typeof createLocalJWKSet>> => {
  if (server === undefined) throw new Error('an entry without a server');
  const response = await fetch(`${server.url}/.well-known/jwks`);
  return createLocalJWKSet((await response.json()) as JSONWebKeySet);
};
