import { firstIdAt, sessionIdFromHash } from '../../src/core/ids.ts';
import type { DomainId, HopId, IssuerId, LeaseId, ResourceId, SpiffeId, WorkloadId } from '../../src/core/ids.ts';
import { sha256 } from '../../src/core/bytes.ts';
import { HOUR, MINUTE } from '../../src/core/duration.ts';
import type { AuditEvent, HopRow, LeaseRow, SessionRow } from '../../src/store/rows.ts';
import type { Issuance, NewEntryVersion } from '../../src/store/store.ts';

export const NOW = Date.UTC(2026, 10, 22, 12, 0, 0, 123);
const id = (prefix: string, name: string): string => `${prefix}_${sha256(name).toString('hex').slice(0, 32)}`;

export const DOMAIN = id('dom', 'prod') as DomainId;
export const ISSUER = id('iss', 'github') as IssuerId;
export const WORKLOAD = id('wkl', 'deployer') as WorkloadId;
export const RESOURCE = id('res', 'deploy') as ResourceId;

export const makeEvent = (action: string, body: AuditEvent['body'] = {}): AuditEvent => ({ at: NOW, action, domainId: DOMAIN, body });

export const makeEntry = (overrides: Partial<NewEntryVersion> = {}): NewEntryVersion =>
  ({ id: DOMAIN, version: 1, kind: 'domain', domainId: DOMAIN, name: 'prod', body: { stage: 'production', text: 'ü \u2028 "x" \\ %' }, owner: 'platform@acme.example', expiresAt: NOW + HOUR, ended: false, ...overrides });

export interface Parts {
  readonly session?: Partial<Omit<SessionRow, 'beganVersion'>>;
  readonly hop?: Partial<HopRow>;
  readonly lease?: Partial<LeaseRow>;
  readonly proofs?: Issuance['proofs'];
  readonly audit?: AuditEvent;
}

/** The same with the place of an instance of a template, whose session is there already. */
export const makeAdmission = (name: string, maxLive: number): Issuance => {
  const issuance = makeIssuance(name);
  return { ...issuance, admits: { maxLive, instance: { id: id('wkl', name) as WorkloadId, sessionId: issuance.session.id, templateId: id('wkl', 'template') as WorkloadId, domainId: DOMAIN, name: `tools/${name}`, spiffeId: `spiffe://prod.acme.example/tools/${name}` as SpiffeId, createdAt: NOW, expiresAt: issuance.session.expiresAt } } };
};

/** An issuance like the exchange's: `name` tells leases apart, `session` the sessions, each with one hop. */
export const makeIssuance = (name: string, sessionName: string = name, parts: Parts = {}): Issuance => {
  const sessionId = sessionIdFromHash(sha256(`session ${sessionName}`));
  const hopId = id('hop', sessionName) as HopId;
  // By age, as the real ones are.
  const leaseId = `${firstIdAt('lease', NOW)}${sha256(name).toString('hex').slice(0, 20)}` as LeaseId;
  return {
    session: {
      id: sessionId, domainId: DOMAIN, issuerId: ISSUER, holder: WORKLOAD, model: 'bounded', principal: 'payments@acme.example', anchor: `815/${sessionName}/1`, facts: {},
      startedAt: NOW, expiresAt: NOW + HOUR, endedAt: null, freshAt: null, ...parts.session,
    },
    hop: {
      id: hopId, sessionId, parentId: null, actor: 'spiffe://prod.acme.example/ci/deployer', workloadId: WORKLOAD, jkt: null, ceiling: [{ audience: 'https://deploy.acme.example', scopes: ['deploy:read'] }], depth: 0,
      chain: [{ iss: 'https://sts.acme.example/prod', sub: 'spiffe://prod.acme.example/ci/deployer' as SpiffeId, workloadId: WORKLOAD, evidence: { kind: 'github-actions' } }],
      path: [`domain:${DOMAIN}`, `issuer:${ISSUER}`, `workload:${WORKLOAD}`, `session:${sessionId}`, `hop:${hopId}`], createdAt: NOW, expiresAt: NOW + HOUR, ...parts.hop,
    },
    lease: {
      id: leaseId, kind: 'access-token', domainId: DOMAIN, sessionId, hopId, workloadId: WORKLOAD, owner: 'payments@acme.example', issuerId: ISSUER, resourceId: RESOURCE,
      audience: 'https://deploy.acme.example', scope: 'deploy:read deploy:write', ceiling: [], decision: { policies: [{ name: 'deployer-deploys', version: 3 }], nothing: null, count: 2 },
      replayKey: `key ${name}`, replayUntil: NOW + HOUR, credentialHash: sha256(name).toString('base64url'), kid: 'kid-1', jkt: null, statusList: null, statusIndex: null, handle: null, handleKekId: null,
      issuedAt: NOW, expiresAt: NOW + 5 * MINUTE, ...parts.lease,
    },
    proofs: parts.proofs ?? [],
    audit: parts.audit ?? makeEvent('exchange.issued', { lease: leaseId }),
  };
};
