import { seconds } from '../core/clock.ts';
import type { Clock } from '../core/clock.ts';
import { SECOND } from '../core/duration.ts';
import { parseSpiffeId } from '../core/ids.ts';
import type { IssuerId, LeaseId, PersonUrn, SessionId, SpiffeId } from '../core/ids.ts';
import { refusal } from '../core/refusal.ts';
import type { Refusal, RefusalCode } from '../core/refusal.ts';
import { err, ok } from '../core/result.ts';
import type { Result } from '../core/result.ts';
import type { AuthorityModel, Domain, Issuer, Stage } from '../registry/entries.ts';
import type { ForeignLink } from '../store/rows.ts';
import { findClaimsProblem } from '../tokens/claims.ts';
import type { ActClaim, MayActClaim, TokenClaims } from '../tokens/claims.ts';
import { checkPresence, checkTimes } from './check-claims.ts';
import type { Presented } from './envelope.ts';
import { stages } from './attestors/mayfly.ts';
import { parsePersonUrn } from './person.ts';
import type { PreparedIssuer } from './prepare.ts';
import { replayKeyOf } from './replay-key.ts';
import type { VerifyEvidence } from './verify-evidence.ts';

/** Authority that comes from another trust domain: on whose behalf, through whom, and who may go on with it here. */
export interface Crossing {
  /** Entry of the domain it comes from. */
  readonly issuerId: IssuerId;
  readonly issuerName: string;
  /** Issuer URL of that domain. */
  readonly iss: string;
  /** Its lease and session there. */
  readonly lease: LeaseId;
  readonly sid: SessionId;
  readonly subject: SpiffeId | PersonUrn;
  readonly model: AuthorityModel;
  readonly principal: string;
  /** Every actor so far, the first one first. */
  readonly chain: readonly ForeignLink[];
  readonly mayAct: MayActClaim;
  /** Milliseconds: when the person logged in, in the delegated model. */
  readonly authTime: number | undefined;
  readonly replayKey: string;
  readonly expiresAt: number;
}

export type AttestCrossing = (token: Presented, candidates: (iss: string) => readonly Issuer[], domain: Receiving) => Promise<Result<Crossing, Refusal>>;
/** The domain it comes to. */
type Receiving = Pick<Domain, 'issuer' | 'name' | 'spiffe'>;

/**
 * A token with which another trust domain lets a chain of actors go on here (draft-ietf-oauth-identity-chaining section 2.3). It
 * says who they are and nothing of what they may do: that is decided here, anew.
 */
export const createAttestCrossing = ({ clock, verify }: { readonly clock: Clock; readonly verify: VerifyEvidence }): AttestCrossing => async (token, candidates, domain) => {
  const verified = await verify(token, { candidates, purpose: 'domains' });
  if (!verified.ok) return verified;
  const { envelope, issuer } = verified.value;
  const { claims } = envelope;
  if (claims.iss !== issuer.entry.issuer) return refuse('evidence_issuer_unknown', 'verified iss is not that of the entry');
  const refused = checkTimes(claims, issuer.profile.maxLifetime, seconds(clock.now())) ?? checkPresence(claims, issuer.profile.requiredClaims);
  if (refused !== undefined) return err(refused);
  if (claims.aud !== domain.issuer) return refuse('evidence_audience_wrong', `aud must be exactly ${domain.issuer}`);
  const problem = findClaimsProblem(claims);
  if (problem !== undefined) return refuse('evidence_claim_invalid', problem);
  // The bytes were verified and the claims are those of a token of a Mayfly: the same rules as for our own.
  const own = claims as unknown as TokenClaims;
  const read = readCrossing(own, issuer, domain);
  if (!read.ok) return read;
  return ok({ ...read.value, replayKey: replayKeyOf(envelope, own.iss, own.jti, 'jti') });
};

const refuse = (code: RefusalCode, detail: string): { readonly ok: false; readonly error: Refusal } => err(refusal(code, detail));

const readCrossing = (claims: TokenClaims, { entry }: PreparedIssuer, domain: Receiving): Result<Omit<Crossing, 'replayKey'>, Refusal> => {
  const { authority, may_act: mayAct } = claims;
  const { model, domains = [] } = authority;
  if (mayAct === undefined) return refuse('evidence_claim_missing', 'may_act is required: who goes on here');
  if (!isModel(model)) return refuse('evidence_claim_invalid', 'authority.model is no authority model');
  if (domains.some(({ iss }) => iss === domain.issuer)) return refuse('crossing_loop', 'the chain was in this domain before');
  const { stage } = entry.options as { readonly stage: Stage };
  if (domains.at(-1)?.stage !== stage) return refuse('evidence_claim_invalid', `authority.domains does not end with ${entry.issuer} as ${stage}, which it is registered as`);
  if (model === 'delegated' && claims.auth_time === undefined) return refuse('evidence_claim_missing', 'auth_time is required where a person is acted for');
  // Whoever is revoked, what rests on them is found by who is accountable: two persons would each be half of it.
  if (model === 'delegated' && authority.principal !== claims.sub) return refuse('evidence_claim_invalid', 'authority.principal is another than the person acted for');
  const chain = readChain(claims, model);
  if (!chain.ok) return chain;
  // A chain was never here before, so whom it names cannot be of here: another installation may lie, or have a domain of the same name.
  const here = [claims.sub, authority.principal, ...chain.value.map(({ sub }) => sub)].some((name) => isOf(domain, name));
  if (here) return refuse('evidence_claim_invalid', 'the chain names a person or workload of this domain, in which it never was');
  return ok({
    issuerId: entry.id, issuerName: entry.name, iss: claims.iss, lease: claims.jti, sid: claims.sid, subject: claims.sub as Crossing['subject'], model, principal: authority.principal,
    chain: chain.value, mayAct, authTime: claims.auth_time === undefined ? undefined : claims.auth_time * SECOND, expiresAt: claims.exp * SECOND,
  });
};

/** Who acted, the first one first: in the delegated model all in `act`, else the subject began (RFC 8693 section 4.1). Each must be of a domain that was passed. */
const readChain = ({ sub, act, authority: { domains = [] } }: TokenClaims, model: AuthorityModel): Result<readonly ForeignLink[], Refusal> => {
  const actors = unnest(act).reverse();
  const [first] = domains;
  const all = model === 'delegated' || first === undefined ? actors : [{ iss: first.iss, sub }, ...actors];
  const links: ForeignLink[] = [];
  for (const { iss, sub: name } of all) {
    const stage = domains.find((domain) => domain.iss === iss)?.stage;
    const spiffeId = parseSpiffeId(name);
    if (stage === undefined || !isStage(stage) || spiffeId === undefined) return refuse('evidence_claim_invalid', 'an actor of the chain is no workload of a domain it passed');
    links.push({ iss, sub: spiffeId, stage });
  }
  return links.length === 0 ? refuse('evidence_claim_invalid', 'the chain has no actor') : ok(links);
};

const isOf = ({ name, spiffe }: Receiving, subject: string): boolean => parsePersonUrn(subject)?.domain === name || subject.startsWith(`spiffe://${spiffe}/`);

const unnest = (act: ActClaim | undefined): ActClaim[] => (act === undefined ? [] : [act, ...unnest(act.act)]);
const MODELS = { delegated: true, bounded: true, autonomous: true } as const satisfies Record<AuthorityModel, true>;
const isModel = (model: string): model is AuthorityModel => Object.hasOwn(MODELS, model);
const isStage = (stage: string): stage is Stage => stages.some((known) => known === stage);
