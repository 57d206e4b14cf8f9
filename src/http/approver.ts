import { decodeJwt } from 'jose';
import type { Request } from 'express';
import type { Admin } from '../admin/access.ts';
import type { KnownApprover } from '../admin/approvals.ts';
import { personUrn } from '../attestation/person.ts';
import type { Person } from '../attestation/person.ts';
import type { Clock } from '../core/clock.ts';
import { SYSTEM_DOMAIN } from '../core/reserved.ts';
import type { DecisionId } from '../core/ids.ts';
import { refusal } from '../core/refusal.ts';
import type { Refusal } from '../core/refusal.ts';
import { err, ok } from '../core/result.ts';
import type { Result } from '../core/result.ts';
import { approverRevoked, approverTargets } from '../exchange/approver.ts';
import type { Approver } from '../exchange/approver.ts';
import type { Denials } from '../exchange/denials.ts';
import type { Issuer } from '../registry/entries.ts';
import type { DomainView } from '../snapshot/domain-view.ts';
import type { Snapshot } from '../snapshot/snapshot.ts';
import { STALENESS_BOUND } from '../snapshot/snapshot.ts';
import { normaliseHttpUri } from '../tokens/http-uri.ts';
import type { Nonces } from '../tokens/nonce.ts';
import type { FindAdmin, Unrecognised } from './admin-caller.ts';
import { readAuthorization } from './caller.ts';
import type { PossessionCheck, PresentedToken } from './caller.ts';

/** Who a token says is calling, and the nonce their next proof may carry. */
export interface RecognisedPerson { readonly admin: Admin | undefined; readonly known: KnownApprover; readonly nonce: string | undefined }
/** `decisionId`: what an admin can ask about. */
export type Unknown = Unrecognised | { readonly refusal: Refusal; readonly decisionId: DecisionId };
export type FindApprover = (request: Request) => Promise<Result<RecognisedPerson, Unknown>>;

export interface FindApproverDeps {
  readonly clock: Clock;
  readonly snapshot: Pick<Snapshot, 'domain' | 'domains' | 'age' | 'blockedBy' | 'revokedSince' | 'version'>;
  readonly denials: Pick<Denials, 'record'>;
  /** Recognises admins by their token. */
  readonly findAdmin: FindAdmin;
  /** A person's token of an application where approvers log in. */
  attest(token: string, candidates: (iss: string) => readonly Issuer[], view: DomainView): Promise<Result<Person, Refusal>>;
  readonly checkPossession: PossessionCheck;
  readonly nonces: Nonces;
  readonly externalUrl: string | undefined;
}

/**
 * Which person calls, by the token they show: an admin's, or one of an application of the domain where approvers log in. Never a
 * workload, and never an agent that holds somebody's token: its application is none of those (registry/settle-issuer.ts).
 */
export const createFindApprover = (deps: FindApproverDeps): FindApprover => {
  const { snapshot } = deps;

  const unknown = async (refused: Refusal, view: DomainView | undefined): Promise<Result<never, Unknown>> => {
    if (refused.code === 'issuer_keys_unavailable' || refused.code === 'snapshot_stale') return err({ refusal: refused });
    const home = view ?? snapshot.domain(SYSTEM_DOMAIN);
    if (home === undefined) return err({ refusal: refusal('snapshot_stale', 'the system domain is missing') });
    const decisionId = await deps.denials.record(refused, { domainId: home.domain.id, workloadId: null, verified: false, facts: { endpoint: 'approvals' } });
    return err({ refusal: refusal('admin_unauthenticated', `an admin can ask why: mayfly explain ${decisionId}`), decisionId });
  };

  const byAdminToken = async (request: Request): Promise<Result<RecognisedPerson, Unknown>> => {
    const found = await deps.findAdmin(request);
    if (!found.ok) return found;
    const { admin, nonce } = found.value;
    const entry = admin.kind === 'person' ? admin.home.issuerById(admin.issuerId) : undefined;
    if (admin.kind !== 'person' || entry === undefined) return err({ refusal: refusal('admin_unauthenticated', 'no person') });
    const sub = admin.id.slice(admin.issuer.length + 1);
    const approver: Approver = { person: personUrn(admin.home.domain.name, admin.issuer, sub), issuer: admin.issuer, issuerId: entry.id, iss: entry.issuer, sub, groups: admin.groups };
    const refused = approverRevoked(snapshot, approverTargets(admin.home, approver));
    return refused === undefined ? ok({ admin, known: { view: admin.home, approver }, nonce }) : unknown(refused, admin.home);
  };

  const byPersonToken = async (request: Request, presented: PresentedToken, view: DomainView): Promise<Result<RecognisedPerson, Unknown>> => {
    const attested = await deps.attest(presented.token, (iss) => view.issuersFor(iss, 'people'), view);
    if (!attested.ok) return unknown(attested.error, view);
    const { urn, issuerId, issuerName, iss, subject, groups, authTime, boundTo } = attested.value;
    const approver: Approver = { person: urn, issuer: issuerName, issuerId, iss, sub: subject, groups };
    const within = view.domain.limits.freshness.delegated;
    if (authTime + within <= deps.clock.now()) return unknown(refusal('login_too_old', `the login is older than ${Math.floor(within / 1000)} s`), view);
    const refused = approverRevoked(snapshot, approverTargets(view, approver), authTime);
    if (refused !== undefined) return unknown(refused, view);
    const url = deps.externalUrl === undefined ? undefined : normaliseHttpUri(`${deps.externalUrl}${request.path}`);
    const possession = await deps.checkPossession(request, presented, boundTo, url, deps.nonces);
    if (possession.ok) return ok({ admin: undefined, known: { view, approver }, nonce: boundTo === undefined ? undefined : deps.nonces.issue() });
    const isHandshake = possession.error.code.startsWith('dpop_nonce');
    const decisionId = await deps.denials.record(possession.error, { domainId: view.domain.id, workloadId: null, verified: false, facts: { endpoint: 'approvals' } });
    return err({ refusal: possession.error, possession: { decisionId, nonce: isHandshake ? deps.nonces.issue() : undefined } });
  };

  return async (request) => {
    if (snapshot.age() > STALENESS_BOUND) return err({ refusal: refusal('snapshot_stale', 'people cannot be recognised from a stale snapshot') });
    const presented = readAuthorization(request);
    if (!presented.ok) return unknown(presented.error, undefined);
    if (presented.value === undefined) return unknown(refusal('token_missing', 'no token'), undefined);
    // Which token is whose is read from unverified claims: a lie only picks whose keys refuse it.
    const { iss, audiences, client } = claimsIn(presented.value.token);
    const isAdmins = snapshot.domains().some((view) => view.issuersFor(iss, 'admins').some(({ audience }) => audiences.includes(audience)));
    if (isAdmins) return byAdminToken(request);
    const knowing = snapshot.domains().filter((view) => view.issuersFor(iss, 'people').length > 0);
    const view = knowing.find((each) => each.issuersFor(iss, 'people').some(({ approverClients = [] }) => approverClients.includes(client))) ?? knowing[0];
    return view === undefined ? unknown(refusal('evidence_issuer_unknown', 'the token is of no issuer that proves people or admins'), undefined) : byPersonToken(request, presented.value, view);
  };
};

const claimsIn = (token: string): { readonly iss: string; readonly audiences: readonly string[]; readonly client: string } => {
  try {
    const { iss = '', aud = [], azp, client_id: clientId } = decodeJwt(token);
    const audiences = [aud].flat();
    return { iss, audiences, client: [azp, clientId, audiences[0]].find((client) => typeof client === 'string') ?? '' };
  } catch {
    return { iss: '', audiences: [], client: '' };
  }
};
