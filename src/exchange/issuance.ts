import { sha256url } from '../core/bytes.ts';
import { decisionOf } from '../core/ids.ts';
import type { LeaseId, SessionId, SpiffeId } from '../core/ids.ts';
import type { JsonObject } from '../core/json.ts';
import type { IssuedCredential } from '../credentials/provider.ts';
import type { DomainView } from '../snapshot/domain-view.ts';
import type { AuditEvent, CeilingPair, HopRow } from '../store/rows.ts';
import type { Issuance, Word } from '../store/store.ts';
import type { DpopBinding } from '../tokens/proof.ts';
import type { Aim } from './aim.ts';
import type { Caller } from './caller.ts';

export interface IssuanceFacts {
  readonly caller: Caller;
  readonly hop: HopRow;
  readonly view: DomainView;
  readonly aim: Aim;
  /** What was decided, one pair per audience. */
  readonly pairs: readonly CeilingPair[];
  readonly leaseId: LeaseId;
  readonly decision: JsonObject;
  readonly issued: IssuedCredential;
  readonly sealedHandle: { readonly sealed: string; readonly kekId: string } | undefined;
  readonly issuedAt: number;
  readonly binding: DpopBinding | undefined;
  /** To whom authority is handed on: such a token is bound to no key. */
  readonly handsOnTo: SpiffeId | undefined;
  readonly requestId: string;
  /** Of the people it is issued on, if it is. */
  readonly words?: readonly Word[];
}

/**
 * The rows of one exchange. Of the credential only its hash is kept (design section 3, invariant 10). Written out member by
 * member: objects put together from others are several times dearer to make, and these are the largest of an exchange.
 */
export const describeIssuance = (facts: IssuanceFacts): Issuance => {
  const { caller, view, aim, issued, binding, words } = facts;
  const { session, workload } = caller;
  const resource = aim.kind === 'resource' ? aim.ask.resource : undefined;
  const audience = resource?.audience ?? view.domain.issuer;
  const credentialHash = sha256url(issued.credential);
  const scope = resource === undefined ? '' : (facts.pairs[0]?.scopes ?? []).join(' ');
  const details = resource === undefined ? undefined : facts.pairs[0]?.details;
  const { freshness } = caller;
  return {
    session,
    hop: facts.hop,
    lease: {
      id: facts.leaseId,
      kind: issued.kind,
      domainId: view.domain.id,
      sessionId: session.id,
      hopId: facts.hop.id,
      workloadId: workload.id,
      owner: workload.owner,
      issuerId: caller.issuerId,
      resourceId: resource?.id ?? null,
      audience,
      scope,
      // A resource token cannot be exchanged: its ceiling is empty (design section 5).
      ceiling: aim.kind === 'session' ? facts.pairs : [],
      details,
      decision: facts.decision,
      replayKey: caller.replayKey,
      replayUntil: caller.replayUntil,
      credentialHash,
      kid: issued.kid ?? null,
      jkt: facts.handsOnTo === undefined ? binding?.jkt ?? null : null,
      statusList: issued.status?.list ?? null,
      statusIndex: issued.status?.index ?? null,
      handle: facts.sealedHandle?.sealed ?? null,
      handleKekId: facts.sealedHandle?.kekId ?? null,
      issuedAt: facts.issuedAt,
      expiresAt: issued.expiresAt,
    },
    proofs: binding === undefined ? caller.proofs : [...caller.proofs, { key: binding.replayKey, until: binding.replayUntil }],
    // What the commit holds it to beside its rows: the login, how fresh things are, the budgets of a task, and people's words.
    login: caller.login,
    fresh: freshness === undefined ? undefined : { at: freshness.shown ? freshness.at : null, after: facts.issuedAt - freshness.within },
    charge: session.model === 'autonomous' ? { session: chargedTo(session), agent: workload.spiffeId, resource: resource?.audience } : undefined,
    words: words === undefined || words.length === 0 ? undefined : words,
    approval: redeemed(facts),
    admits: admissionOf(caller, view, facts.issuedAt),
    audit: {
      at: facts.issuedAt,
      action: 'exchange.issued',
      domainId: view.domain.id,
      body: {
        lease: facts.leaseId, kind: issued.kind, decision: decisionOf(facts.leaseId), session: session.id, hop: facts.hop.id, workload: workload.spiffeId, owner: workload.owner, principal: session.principal,
        audience, scope, expires: issued.expiresAt, hash: credentialHash, request: facts.requestId, ...seldomTold(facts, details),
      },
    },
  };
};

const NOTHING = {};
/** What only some issuances have to tell. */
const seldomTold = ({ caller: { workload, redeems }, handsOnTo }: IssuanceFacts, details: CeilingPair['details']): AuditEvent['body'] =>
  (details === undefined && handsOnTo === undefined && redeems === undefined && workload.instanceOf === undefined ? NOTHING
    : { details, handed_on_to: handsOnTo, approval: redeems?.row.id, instance_of: workload.instanceOf?.name });

/** A task that went on in another domain goes on using what it was given where it was opened. */
const chargedTo = ({ id, facts }: Caller['session']): SessionId => (typeof facts['charged'] === 'string' ? facts['charged'] as SessionId : id);
/** The approval this uses up: its own row decides, in the commit, whether it still is to be had. */
const redeemed = ({ caller: { redeems }, leaseId, issuedAt, view, requestId }: IssuanceFacts): Issuance['approval'] => redeems && ({
  kind: 'redeem', id: redeems.row.id, hash: redeems.row.hash,
  audit: { at: issuedAt, action: 'approval.redeemed', domainId: view.domain.id, body: { approval: redeems.row.id, hash: redeems.row.hash, lease: leaseId, by: redeems.row.votes.map(({ name, person }) => ({ name, person })), request: requestId } },
});

/** An instance whose place in the session this node does not know: the commit looks, and gives it one if there is room. */
const admissionOf = ({ workload, session }: Caller, view: DomainView, now: number): Issuance['admits'] => {
  if (workload.instanceOf === undefined || view.hasInstance(workload.id, session.id)) return undefined;
  const { id, name, spiffeId, instanceOf } = workload;
  const maxLive = view.workloadById(instanceOf.id)?.template?.maxLive ?? 0;
  return { instance: { id, sessionId: session.id, templateId: instanceOf.id, domainId: view.domain.id, name, spiffeId, createdAt: now, expiresAt: session.expiresAt }, maxLive };
};
