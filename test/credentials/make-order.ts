import type { HopId, IssuerId, LeaseId, ResourceId, SessionId, SpiffeId, WorkloadId } from '../../src/core/ids.ts';
import { HOUR, MINUTE } from '../../src/core/duration.ts';
import type { Order } from '../../src/credentials/provider.ts';
import type { Domain, Resource, Workload } from '../../src/registry/entries.ts';
import { authorityLimits } from '../../src/registry/limits.ts';
import { DOMAIN, START } from '../keys/make-ring.ts';

export const ISSUER_ID = `iss_${'a'.repeat(32)}` as IssuerId;
export const domain: Domain = { kind: 'domain', id: DOMAIN, version: 1, owner: 'ops@acme.example', name: 'prod', stage: 'production', spiffe: 'prod.acme.example', issuer: 'https://sts.acme.example/prod', limits: authorityLimits(undefined) };
export const workload: Workload = {
  kind: 'workload', id: `wkl_${'b'.repeat(32)}` as WorkloadId, version: 1, owner: 'ops@acme.example', domainId: DOMAIN, name: 'ci/deployer',
  spiffeId: 'spiffe://prod.acme.example/ci/deployer' as SpiffeId, workloadKind: 'pipeline', authority: 'bounded', match: { issuer: 'github', attributes: {} }, bound: false, expires: START + HOUR,
};
export const resource = (change: Partial<Resource>): Resource => ({
  kind: 'resource', id: `res_${'c'.repeat(32)}` as ResourceId, version: 1, owner: 'ops@acme.example', domainId: DOMAIN, audience: 'https://deploy.acme.example', provider: 'access-token',
  scopes: ['deploy:read', 'deploy:write'], servedBy: [], bound: false, lifetime: undefined, options: {}, expires: START + HOUR, ...change,
});

/** An order as the exchange makes one: five minutes, in a hop that lives an hour. */
export const makeOrder = (change: Partial<Order> = {}): Order => ({
  leaseId: 'lse_00000000000000000000000000000001' as LeaseId,
  sessionId: 'AAAAAAAAAAAAAAAAAAAAAA' as SessionId,
  hopId: `hop_${'d'.repeat(32)}` as HopId,
  domain,
  workload,
  resource: resource({}),
  scopes: ['deploy:read'],
  subject: { sub: workload.spiffeId, act: undefined, model: 'bounded', principal: workload.owner, depth: 0, authTime: undefined, acr: undefined },
  chain: [],
  handsOnTo: undefined,
  binding: undefined,
  attributes: { repository_id: '815', ref: 'refs/heads/main' },
  issuedAt: START,
  expiresAt: START + 5 * MINUTE,
  hopExpiresAt: START + HOUR,
  ...change,
});
