import type { PersonUrn, SpiffeId } from '../core/ids.ts';
import type { JsonObject } from '../core/json.ts';
import { refusal } from '../core/refusal.ts';
import type { Refusal } from '../core/refusal.ts';
import type { AuthorityModel, Workload } from '../registry/entries.ts';
import type { ChainLink, ForeignLink, OwnLink, SessionRow } from '../store/rows.ts';
import type { ActClaim, MayActClaim } from '../tokens/claims.ts';

/** Whom a token is about, and who acts for them now through whom (RFC 8693 sections 4.1 and 4.4). */
export interface Subject { readonly sub: SpiffeId | PersonUrn; readonly act: ActClaim | undefined }

/**
 * In the delegated model the person is the subject and every workload an actor; else the first workload is the subject and those
 * after it are actors. Outermost is who acts now; nobody in the chain is ever left out.
 */
export const subjectOf = (session: Pick<SessionRow, 'model' | 'holder'>, chain: readonly ChainLink[]): Subject => {
  const [first] = chain;
  if (first === undefined) throw new Error('a chain without an actor');
  return { sub: session.model === 'delegated' ? session.holder as PersonUrn : first.sub, act: nest(actorsOf(session, chain)) };
};

/** An actor that this domain recognised itself. */
export const isOwn = (link: ChainLink): link is OwnLink => 'workloadId' in link;
export const isForeign = (link: ChainLink): link is ForeignLink => !isOwn(link);

/** A hop's chain with what its own actor showed, as one of its leases tells. */
export const withShown = (chain: readonly ChainLink[], evidence: JsonObject): readonly ChainLink[] => chain.map((link, at) => (at === chain.length - 1 && isOwn(link) ? { ...link, evidence } : link));

/** Who of a chain acts for another: everybody in the delegated model, else all but the first, who acts for itself. */
export const actorsOf = (session: Pick<SessionRow, 'model'>, chain: readonly ChainLink[]): readonly ChainLink[] => (session.model === 'delegated' ? chain : chain.slice(1));

const nest = (actors: readonly ChainLink[]): ActClaim | undefined =>
  actors.reduce<ActClaim | undefined>((inner, { iss, sub }) => (inner === undefined ? { iss, sub } : { iss, sub, act: inner }), undefined);

/** Whether a workload may take over a token that names who may (RFC 8693 section 4.4). */
export const checkMayAct = (mayAct: { readonly iss?: string | undefined; readonly sub: string } | undefined, actor: SpiffeId, issuer: string): Refusal | undefined => {
  if (mayAct === undefined) return undefined;
  const fits = mayAct.sub === actor && (mayAct.iss === undefined || mayAct.iss === issuer);
  return fits ? undefined : refusal('actor_mismatch', `may_act names another actor than ${actor}`);
};

/** An instance of a template never begins a session, and takes part only in those of the model its template is registered with. */
export const checkPlace = ({ name, authority, instanceOf }: Pick<Workload, 'name' | 'authority' | 'instanceOf'>, model: AuthorityModel | undefined): Refusal | undefined => {
  if (instanceOf === undefined || authority === model) return undefined;
  return refusal('instance_misplaced', `${name} is an instance of template ${instanceOf.name}, ${model === undefined ? 'and was handed nothing on' : `which is for ${authority} sessions, and this one is ${model}`}`);
};

export const mayActOf = (actor: SpiffeId, issuer: string): MayActClaim => ({ iss: issuer, sub: actor });

/** `depth`: actors that act for another, as deep as `act` is nested. */
export const checkDepth = (depth: number, limit: number): Refusal | undefined =>
  (depth > limit ? refusal('depth_exceeded', `depth ${depth}, this domain allows ${limit}`) : undefined);

/** A chain that comes back to an actor goes in circles: nothing is gained that the actor did not have. */
export const checkCircle = (chain: readonly ChainLink[], actor: SpiffeId): Refusal | undefined =>
  (chain.some(({ sub }) => sub === actor) ? refusal('actor_mismatch', `${actor} stands in the chain already`) : undefined);
