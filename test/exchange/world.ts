import type { Evidence } from '../../src/attestation/evidence.ts';
import { personUrn } from '../../src/attestation/person.ts';
import type { Person } from '../../src/attestation/person.ts';
import { sha256url } from '../../src/core/bytes.ts';
import { DAY, HOUR, MINUTE } from '../../src/core/duration.ts';
import type { IssuerId, LeaseId, PolicyId, ResourceId, SpiffeId, WorkloadId } from '../../src/core/ids.ts';
import { evidenceFacts } from '../../src/exchange/facts.ts';
import type { Caller } from '../../src/exchange/caller.ts';
import type { ExchangeRequest } from '../../src/exchange/request.ts';
import { openRootHop, openRun, sessionPath } from '../../src/authority/session.ts';
import type { NewHop } from '../../src/authority/session.ts';
import { openKeyRing } from '../../src/keys/key-ring.ts';
import type { SigningKey } from '../../src/keys/signing-key.ts';
import type { Domain, Entry, Policy, Resource, Workload } from '../../src/registry/entries.ts';
import { createIdentifyIndex } from '../../src/registry/identify.ts';
import { authorityLimits } from '../../src/registry/limits.ts';
import { createLiveDomain } from '../../src/snapshot/domain-view.ts';
import type { DomainView } from '../../src/snapshot/domain-view.ts';
import type { ChainLink, EntryRow, HopRow, KeyRow, LeaseRow, SessionRow, Target } from '../../src/store/rows.ts';
import type { LeaseStanding } from '../../src/store/store.ts';
import { DOMAIN, START } from '../keys/make-ring.ts';
import { buildEngine } from '../policy/scene.ts';

/** One trust domain as the exchange's steps see it: real registry, policies and keys, without a store or a network. */
export const NOW = START;
export const FAR = NOW + 300 * DAY;
export const API = 'https://deploy.acme.example';
export const BILLING = 'https://billing.acme.example';
export const SECRET = 'https://payroll.acme.example';
export const ROLE = 'arn:aws:iam::123456789012:role/deploy';
export const OWNER = 'payments@acme.example';
export const ISSUER_ID = `iss_${'a'.repeat(32)}` as IssuerId;
export const PEOPLE_ID = `iss_${'9'.repeat(32)}` as IssuerId;

export const domain: Domain = { kind: 'domain', id: DOMAIN, version: 1, owner: OWNER, name: 'prod', stage: 'production', spiffe: 'prod.acme.example', issuer: 'https://sts.acme.example/prod', limits: authorityLimits(undefined) };
export const INTROSPECT = `${domain.issuer}/introspect`;

const hex = (digit: string): string => digit.repeat(32);
export const workload = (change: Partial<Workload> = {}): Workload => ({
  kind: 'workload', id: `wkl_${hex('b')}` as WorkloadId, version: 1, owner: OWNER, domainId: DOMAIN, name: 'ci/deployer', spiffeId: 'spiffe://prod.acme.example/ci/deployer' as SpiffeId,
  workloadKind: 'pipeline', authority: 'bounded', match: { issuer: 'github', attributes: { repository_id: ['815'] } }, bound: false, expires: FAR, ...change,
});
export const deployer = workload();
export const other = workload({ id: `wkl_${hex('c')}` as WorkloadId, name: 'svc/deploy', spiffeId: 'spiffe://prod.acme.example/svc/deploy' as SpiffeId, match: { issuer: 'github', attributes: { repository_id: ['900'] } } });

export const resource = (change: Partial<Resource> = {}): Resource => ({
  kind: 'resource', id: `res_${hex('d')}` as ResourceId, version: 1, owner: OWNER, domainId: DOMAIN, audience: API, provider: 'access-token',
  scopes: ['deploy:read', 'deploy:write', 'deploy:admin'], servedBy: ['svc/deploy'], bound: false, lifetime: undefined, options: {}, expires: FAR, ...change,
});
export const api = resource();
export const billing = resource({ id: `res_${hex('e')}` as ResourceId, audience: BILLING, scopes: ['bills:read'], servedBy: [] });
export const secret = resource({ id: `res_${hex('f')}` as ResourceId, audience: SECRET, scopes: ['salaries:read'], servedBy: [], bound: true });
export const role = resource({ id: `res_${hex('1')}` as ResourceId, audience: ROLE, provider: 'aws-sts', scopes: [], servedBy: [] });

let policies = 0;
export const policy = (cedar: string): Policy => {
  policies += 1;
  return { kind: 'policy', id: `pol_${policies}` as PolicyId, version: 3, owner: OWNER, domainId: DOMAIN, name: `p${policies}`, cedar, ...(cedar.startsWith('forbid') ? { effect: 'forbid', expires: undefined } : { effect: 'permit', expires: FAR }) };
};
export const permit = (audience: string, when = ''): Policy =>
  policy(`permit(principal == Workload::"${deployer.spiffeId}", action == Action::"issue", resource in Resource::"${audience}")${when === '' ? '' : ` when { ${when} }`};`);
/** Cedar multiplies 64-bit integers: this one errs where it is asked, and Cedar alone would let a permit win. */
export const erring = (scope: string): Policy => policy(`forbid(principal, action == Action::"issue", resource == Scope::"${scope}") when { context.request.lifetime * 9223372036854775807 > 1 };`);
/** Everything of the API but its admin scope, and billing's one scope. */
export const USUAL: readonly Policy[] = [permit(API, `resource != Scope::"${API}#deploy:admin"`), permit(BILLING), permit(ROLE)];

export interface Parts { readonly workloads?: readonly Workload[]; readonly resources?: readonly Resource[]; readonly policies?: readonly Policy[]; readonly keys?: readonly KeyRow[]; readonly open?: (row: KeyRow) => SigningKey }
export const viewOf = ({ workloads = [deployer, other], resources = [api, billing, secret, role], policies: rules = USUAL, keys = [], open = noKeys }: Parts = {}): DomainView => {
  const live = createLiveDomain(domain, { createIndex: createIdentifyIndex, buildEngine, openRing: (rows) => openKeyRing(rows, open) });
  live.apply([...workloads, ...resources, ...rules].map((entry) => ({ row: rowOf(entry), entry, problem: undefined })), keys);
  if (live.policyProblems.length > 0) throw new Error(live.policyProblems.join('; '));
  return live;
};
const noKeys = (): SigningKey => { throw new Error('this domain has no keys'); };
const rowOf = (entry: Exclude<Entry, Domain>): EntryRow => ({
  id: entry.id, version: entry.version, seq: 1, kind: entry.kind, domainId: DOMAIN, name: entry.kind === 'resource' ? entry.audience : entry.name, body: {}, owner: entry.owner, expiresAt: null, ended: false, changedAt: NOW, changedBy: 'ada',
});

export const evidence = (change: Partial<Evidence> = {}): Evidence => ({
  issuerId: ISSUER_ID, issuerName: 'github', proves: 'workloads', kind: 'github-actions', iss: 'https://token.actions.githubusercontent.com', subject: 'repo:acme/shop:ref:refs/heads/main',
  attributes: { repository_id: '815', repository_owner_id: '4711', repository: 'acme/shop', repository_owner: 'acme', event_name: 'push', ref: 'refs/heads/main', run_id: '9001', run_attempt: '1' },
  replayKey: 'replay-1', anchor: '815/9001/1', issuedAt: NOW, expiresAt: NOW + 5 * MINUTE, jti: 'jti-1', boundTo: undefined, ...change,
});

/** Alice, logged in a minute ago at the application that the deployer presents. */
export const person = (change: Partial<Person> = {}): Person => ({
  urn: personUrn(domain.name, 'corp', 'alice'), issuerId: PEOPLE_ID, issuerName: 'corp', iss: 'https://login.acme.example', subject: 'alice', groups: ['engineering'], authTime: NOW - MINUTE, acr: 'mfa',
  anchor: 'sid.login-1', clientId: 'app', presenters: ['ci/deployer'], mayAct: undefined, replayKey: undefined, expiresAt: NOW + 5 * MINUTE, boundTo: undefined, ...change,
});

export const request = (change: Partial<ExchangeRequest> = {}): ExchangeRequest => ({
  subjectToken: 'evidence', subjectKind: 'evidence', actorToken: undefined, clientId: undefined, requestedActor: undefined, session: undefined, purpose: undefined,
  target: API, scopes: ['deploy:read'], requestedTokenType: undefined, ceiling: undefined, ...change,
});

/** A workload's place in a chain, by the usual evidence unless said otherwise. */
export const linkOf = (of: Pick<Workload, 'id' | 'spiffeId'> = deployer, shown = evidence()): ChainLink => ({ iss: domain.issuer, sub: of.spiffeId, workloadId: of.id, evidence: evidenceFacts(shown) });
/** The same as its own hop is stored: what it showed is with its leases. */
export const placeOf = (of: Pick<Workload, 'id' | 'spiffeId'> = deployer): ChainLink => ({ iss: domain.issuer, sub: of.spiffeId, workloadId: of.id });
/** What makes a hop: the usual workload with its own evidence, no key, and the API's plain scopes. */
export const newHop = (change: Partial<NewHop> = {}): NewHop => ({
  workload: deployer, issuerId: ISSUER_ID, jkt: null, ceiling: [{ audience: API, scopes: ['deploy:read', 'deploy:write'] }], link: linkOf(change.workload), ...change,
});

const opened = openRun(domain, deployer, evidence(), NOW - HOUR);
export const session: SessionRow = { ...opened, beganVersion: 5 };
export const hop: HopRow = openRootHop(session, newHop(), NOW - HOUR);

export const caller = (change: Partial<Caller> = {}): Caller => ({
  workload: deployer, evidence: evidenceFacts(evidence()), issuerId: ISSUER_ID, session: opened, hop: undefined, parent: undefined, hops: undefined, ceiling: undefined, chain: [linkOf()],
  person: undefined, login: undefined, freshness: undefined, showedEvidence: true, opensTask: false, path: sessionPath(opened), beganVersion: 7,
  replayKey: 'replay-1', replayUntil: NOW + HOUR, proofs: [], jkt: null, ...change,
});

/** The credential that lease was issued for. */
export const OWN_TOKEN = 'token';
export const LEASE = `lse_${hex('2')}` as LeaseId;
/** A live session token's lease, unless said otherwise. */
export const standing = (lease: Partial<LeaseRow> = {}, more: Partial<Omit<LeaseStanding, 'lease'>> = {}): LeaseStanding => ({
  session, hop, revokedBy: undefined, suspendedBy: undefined, ended: false, ...more,
  lease: {
    id: LEASE, kind: 'session_token', domainId: DOMAIN, sessionId: session.id, hopId: hop.id, workloadId: deployer.id, owner: OWNER, issuerId: ISSUER_ID, resourceId: null, audience: domain.issuer, scope: '',
    ceiling: hop.ceiling, decision: { evidence: { ...evidenceFacts(evidence()) } }, replayKey: null, replayUntil: null, credentialHash: sha256url(OWN_TOKEN), kid: 'kid-1', jkt: null, statusList: null, statusIndex: null, handle: null, handleKekId: null,
    issuedAt: NOW - MINUTE, expiresAt: NOW + 4 * MINUTE, ...lease,
  },
});

/** What a step says: `accepted`, or the code of its refusal. */
export const codeOf = (result: { readonly ok: true } | { readonly ok: false; readonly error: { readonly code: string } }): string => (result.ok ? 'accepted' : result.error.code);
export const valueOf = <T>(result: { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: { readonly code: string; readonly detail: string } }): T => {
  if (!result.ok) throw new Error(`refused: ${result.error.code}: ${result.error.detail}`);
  return result.value;
};
export const targetOf = (kind: 'session' | 'workload', id: string): Target => `${kind}:${id}`;
