import { parsePersonUrn } from '../attestation/person.ts';
import { DAY } from '../core/duration.ts';
import { parseId, parseSessionId } from '../core/ids.ts';
import type { DomainId, IssuerId, PersonUrn, WorkloadId } from '../core/ids.ts';
import { refusal } from '../core/refusal.ts';
import type { Refusal } from '../core/refusal.ts';
import { SYSTEM_DOMAIN } from '../core/reserved.ts';
import { err, ok } from '../core/result.ts';
import type { Result } from '../core/result.ts';
import type { Search } from '../exchange/falling.ts';
import { othersRestOn, revocationOfLease } from '../exchange/revoke-token.ts';
import type { DomainView } from '../snapshot/domain-view.ts';
import type { Snapshot } from '../snapshot/snapshot.ts';
import type { Target } from '../store/rows.ts';
import type { LeaseStanding, NewRevocation, StoreReads } from '../store/store.ts';
import { domainMeant, withinReach } from './access.ts';
import type { Admin } from './access.ts';

export const REVOCABLE = ['lease', 'hop', 'session', 'workload', 'person', 'issuer', 'domain'] as const;
export type Revocable = (typeof REVOCABLE)[number];
/** What is only blocked while it is revoked; leases, hops and sessions end for good (design section 7). */
export const ENABLABLE = ['workload', 'person', 'issuer', 'domain'] as const satisfies readonly Revocable[];
export type Enablable = (typeof ENABLABLE)[number];

/** What is to be revoked: an id, a person's URN, or a name within a domain for what has one. */
export interface RevocationRequest { readonly kind: Revocable; readonly id: string; readonly domain: string | undefined; readonly reason: string }

/** What is to be let in again, named the same way. */
export interface EnableRequest extends Pick<RevocationRequest, 'id' | 'domain'> { readonly kind: Enablable }

export interface Found {
  readonly view: DomainView;
  readonly revocation: NewRevocation;
  /** Where what falls with it is: a lease on which nothing else rests falls alone, an entry with all that rests on it. */
  readonly falls: { readonly kind: 'alone'; readonly standing: LeaseStanding } | { readonly kind: 'found'; readonly searches: readonly Search[] } | { readonly kind: 'entry' };
}
export interface Blocked { readonly view: DomainView; readonly target: Target }

export interface FinderDeps {
  readonly store: Pick<StoreReads, 'leaseStanding' | 'session' | 'hop'>;
  readonly snapshot: Pick<Snapshot, 'domain' | 'domains' | 'domainById'>;
}

/** Sessions are named by evidence that may outlive them; what revokes one, or a part of it, is kept as long as their rows. */
export const SESSION_KEPT = 90 * DAY;

/** Finds what an admin names, within their reach: what lies beyond is answered like what is not there. */
export const createFinder = ({ store, snapshot }: FinderDeps) => {
  type Named = Pick<RevocationRequest, 'id' | 'domain'>;
  const domainOf = (idOrName: string): DomainView | undefined => snapshot.domainById(idOrName as DomainId) ?? snapshot.domain(idOrName);

  const findEntry = (kind: 'workload' | 'issuer', request: Named, admin: Admin): { readonly view: DomainView; readonly id: string } | undefined => {
    const views = request.domain === undefined ? snapshot.domains() : [snapshot.domain(request.domain)];
    for (const view of views.map((each) => withinReach(admin, each))) {
      // By id before by name: a name may look like another's id. By name only in a domain that was named or is the only one meant.
      const entry = kind === 'workload' ? view?.workloadById(request.id as WorkloadId) : view?.issuerById(request.id as IssuerId);
      const byName = request.domain === undefined && domainMeant(admin) === undefined ? undefined : kind === 'workload' ? view?.workloadByName(request.id) : view?.issuer(request.id);
      const found = entry ?? byName;
      if (view !== undefined && found !== undefined) return { view, id: found.id };
    }
    return undefined;
  };

  /** Nobody need have seen them: who has left is kept out before they come. But a URN that no login could ever yield would revoke nobody. */
  const findPerson = ({ id, domain }: Named, admin: Admin): { readonly view: DomainView; readonly urn: PersonUrn } | undefined => {
    const named = parsePersonUrn(id);
    if (named === undefined || (domain !== undefined && domain !== named.domain)) return undefined;
    const view = withinReach(admin, snapshot.domain(named.domain));
    return view?.issuer(named.issuer)?.proves === 'people' ? { view, urn: id as PersonUrn } : undefined;
  };

  const findLease = async (request: RevocationRequest, admin: Admin): Promise<Found | undefined> => {
    const id = parseId('lease', request.id);
    const standing = id === undefined ? undefined : await store.leaseStanding(id);
    const view = withinReach(admin, standing === undefined ? undefined : snapshot.domainById(standing.lease.domainId));
    if (standing === undefined || view === undefined) return undefined;
    const revocation = revocationOfLease(standing, request.reason);
    const { lease } = standing;
    return { view, revocation, falls: othersRestOn(lease) ? { kind: 'found', searches: [{ target: revocation.target, filter: { sessionId: lease.sessionId } }] } : { kind: 'alone', standing } };
  };

  /** One actor's place in a session, with every place below it. */
  const findHop = async (request: RevocationRequest, admin: Admin): Promise<Found | undefined> => {
    const id = parseId('hop', request.id);
    const hop = id === undefined ? undefined : await store.hop(id);
    const session = hop === undefined ? undefined : (await store.session(hop.sessionId))?.session;
    const view = withinReach(admin, session === undefined ? undefined : snapshot.domainById(session.domainId));
    if (session === undefined || view === undefined || id === undefined) return undefined;
    return found(view, `hop:${id}`, request.reason, session.expiresAt + SESSION_KEPT, [{ sessionId: session.id }]);
  };

  const findSession = async (request: RevocationRequest, admin: Admin): Promise<Found | undefined> => {
    const id = parseSessionId(request.id);
    const session = id === undefined ? undefined : (await store.session(id))?.session;
    const view = withinReach(admin, session === undefined ? undefined : snapshot.domainById(session.domainId));
    if (session === undefined || view === undefined) return undefined;
    return found(view, `session:${session.id}`, request.reason, session.expiresAt + SESSION_KEPT, [{ sessionId: session.id }]);
  };

  const findStanding = (request: RevocationRequest, admin: Admin): Result<Found | undefined, Refusal> => {
    const { kind, reason } = request;
    if (kind === 'person') {
      const person = findPerson(request, admin);
      return ok(person && found(person.view, `person:${person.urn}`, reason, null, restingOn(person.view, person.urn)));
    }
    if (kind === 'workload' || kind === 'issuer') {
      const entry = findEntry(kind, request, admin);
      return ok(entry && foundEntry(entry.view, `${kind}:${entry.id}`, reason));
    }
    const view = withinReach(admin, domainOf(request.id));
    // Nothing is issued there, and nobody but the socket could undo it.
    if (view?.domain.name === SYSTEM_DOMAIN) return err(refusal('parameter_invalid', 'the system domain cannot be revoked: it would lock every admin out; revoke the issuer that proves them'));
    return ok(view && foundEntry(view, `domain:${view.domain.id}`, reason));
  };

  return {
    find: async (request: RevocationRequest, admin: Admin): Promise<Result<Found, Refusal>> => {
      const { kind } = request;
      const one = kind === 'lease' ? ok(await findLease(request, admin)) : kind === 'hop' ? ok(await findHop(request, admin)) : kind === 'session' ? ok(await findSession(request, admin)) : findStanding(request, admin);
      if (!one.ok) return one;
      return one.value === undefined ? err(notFound(request)) : ok(one.value);
    },

    findBlocked: (request: EnableRequest, admin: Admin): Blocked | undefined => {
      const { kind } = request;
      if (kind === 'domain') {
        const view = domainOf(request.id);
        return view && { view, target: `domain:${view.domain.id}` };
      }
      if (kind === 'person') {
        const person = findPerson(request, admin);
        return person && { view: person.view, target: `person:${person.urn}` };
      }
      const entry = findEntry(kind, request, admin);
      return entry && { view: entry.view, target: `${kind}:${entry.id}` };
    },

    /** Where a "no" is decided for what was not found: in the domain that was named, else in that which the admin means. */
    domainAsked: (request: { readonly domain: string | undefined }, admin: Admin): DomainView | undefined => (request.domain === undefined ? domainMeant(admin) : snapshot.domain(request.domain)),
  };
};

export const notFound = ({ kind, id }: { readonly kind: string; readonly id: string }): Refusal =>
  refusal('not_found', kind === 'person' ? `no person ${id}; one is named urn:mayfly:<domain>:person:<issuer that proves people>:<percent-encoded sub>` : `no ${kind} ${id}`);

const found = (view: DomainView, target: Target, reason: string, purgeAfter: number | null, filters: readonly Search['filter'][]): Found =>
  ({ view, revocation: { target, domainId: view.domain.id, reason, purgeAfter }, falls: { kind: 'found', searches: filters.map((filter) => ({ target, filter })) } });

const foundEntry = (view: DomainView, target: Target, reason: string): Found =>
  ({ view, revocation: { target, domainId: view.domain.id, reason, purgeAfter: null }, falls: { kind: 'entry' } });

/** A person's logins are theirs; the tasks they are accountable for are those of the workloads registered with them as principal. */
const restingOn = (view: DomainView, urn: PersonUrn): readonly Search['filter'][] => {
  const named = parsePersonUrn(urn);
  const theirs = view.entries().workloads.filter(({ principal }) => principal !== undefined && principal.issuer === named?.issuer && principal.sub === named.subject);
  return [{ holder: urn }, ...theirs.map(({ id }) => ({ holder: id }))];
};
