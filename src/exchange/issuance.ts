import { sha256url } from '../core/bytes.ts';
import { decisionOf } from '../core/ids.ts';
import type { LeaseId, SessionId, SpiffeId } from '../core/ids.ts';
import type { JsonObject } from '../core/json.ts';
import type { IssuedCredential } from '../credentials/provider.ts';
import type { DomainView } from '../snapshot/domain-view.ts';
import type { CeilingPair, HopRow } from '../store/rows.ts';
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

/** The rows of one exchange. Of the credential only its hash is kept (design section 3, invariant 10). */
export const describeIssuance = (facts: IssuanceFacts): Issuance => {
  const { caller, view, aim, issued, binding } = facts;
  const resource = aim.kind === 'resource' ? aim.ask.resource : undefined;
  const audience = resource?.audience ?? view.domain.issuer;
  const credentialHash = sha256url(issued.credential);
  const scope = resource === undefined ? '' : (facts.pairs[0]?.scopes ?? []).join(' ');
  const details = resource === undefined ? undefined : facts.pairs[0]?.details;
  return {
    session: caller.session,
    hop: facts.hop,
    lease: {
      id: facts.leaseId,
      kind: issued.kind,
      domainId: view.domain.id,
      sessionId: caller.session.id,
      hopId: facts.hop.id,
      workloadId: caller.workload.id,
      owner: caller.workload.owner,
      issuerId: caller.issuerId,
      resourceId: resource?.id ?? null,
      audience,
      scope,
      // A resource token cannot be exchanged: its ceiling is empty (design section 5).
      ceiling: aim.kind === 'session' ? facts.pairs : [],
      ...(details === undefined ? {} : { details }),
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
    proofs: [...caller.proofs, ...(binding === undefined ? [] : [{ key: binding.replayKey, until: binding.replayUntil }])],
    ...restsOn(caller, resource?.audience, facts.issuedAt),
    ...(facts.words === undefined || facts.words.length === 0 ? {} : { words: facts.words }),
    ...redeemed(facts),
    ...admissionOf(caller, view, facts.issuedAt),
    audit: {
      at: facts.issuedAt,
      action: 'exchange.issued',
      domainId: view.domain.id,
      body: {
        lease: facts.leaseId, kind: issued.kind, decision: decisionOf(facts.leaseId), session: caller.session.id, hop: facts.hop.id,
        workload: caller.workload.spiffeId, ...(caller.workload.instanceOf === undefined ? {} : { instance_of: caller.workload.instanceOf.name }), owner: caller.workload.owner, principal: caller.session.principal,
        audience, scope, ...(details === undefined ? {} : { details }), expires: issued.expiresAt, ...(facts.handsOnTo === undefined ? {} : { handed_on_to: facts.handsOnTo }), ...(caller.redeems === undefined ? {} : { approval: caller.redeems.row.id }), hash: credentialHash, request: facts.requestId,
      },
    },
  };
};

/** A task that went on in another domain goes on using what it was given where it was opened. */
const chargedTo = ({ id, facts }: Caller['session']): SessionId => (typeof facts['charged'] === 'string' ? facts['charged'] as SessionId : id);
/** The approval this uses up: its own row decides, in the commit, whether it still is to be had. */
const redeemed = ({ caller: { redeems }, leaseId, issuedAt, view, requestId }: IssuanceFacts): Pick<Issuance, 'approval'> => (redeems === undefined ? {} : {
  approval: {
    kind: 'redeem', id: redeems.row.id, hash: redeems.row.hash,
    audit: { at: issuedAt, action: 'approval.redeemed', domainId: view.domain.id, body: { approval: redeems.row.id, hash: redeems.row.hash, lease: leaseId, by: redeems.row.votes.map(({ name, person }) => ({ name, person })), request: requestId } },
  },
});

/** What the commit holds the issuance to beside its rows: the login, how fresh things are, and the budgets of a task. */
const restsOn = ({ login, freshness, session, workload }: Caller, resource: string | undefined, now: number): Pick<Issuance, 'login' | 'fresh' | 'charge'> => ({
  ...(login === undefined ? {} : { login }),
  ...(freshness === undefined ? {} : { fresh: { at: freshness.shown ? freshness.at : null, after: now - freshness.within } }),
  ...(session.model !== 'autonomous' ? {} : { charge: { session: chargedTo(session), agent: workload.spiffeId, resource } }),
});

/** An instance whose place in the session this node does not know: the commit looks, and gives it one if there is room. */
const admissionOf = ({ workload, session }: Caller, view: DomainView, now: number): Pick<Issuance, 'admits'> => {
  if (workload.instanceOf === undefined || view.hasInstance(workload.id, session.id)) return {};
  const { id, name, spiffeId, instanceOf } = workload;
  const maxLive = view.workloadById(instanceOf.id)?.template?.maxLive ?? 0;
  return { admits: { instance: { id, sessionId: session.id, templateId: instanceOf.id, domainId: view.domain.id, name, spiffeId, createdAt: now, expiresAt: session.expiresAt }, maxLive } };
};
