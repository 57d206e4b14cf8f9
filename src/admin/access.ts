import type { Attributes } from '../attestation/attributes.ts';
import type { Clock } from '../core/clock.ts';
import type { IssuerId } from '../core/ids.ts';
import { refusal } from '../core/refusal.ts';
import type { Refusal } from '../core/refusal.ts';
import { SYSTEM_DOMAIN } from '../core/reserved.ts';
import { err, ok } from '../core/result.ts';
import type { Result } from '../core/result.ts';
import type { Denials } from '../exchange/denials.ts';
import type { AdminVerbName } from '../policy/actions.ts';
import type { DomainView } from '../snapshot/domain-view.ts';
import type { Snapshot } from '../snapshot/snapshot.ts';

/** Who acts on the admin plane: whoever may open the local socket, or a person proven by an issuer that proves admins. */
export type Admin = { readonly kind: 'local' } | Person;
interface Person { readonly kind: 'person'; readonly id: string; readonly issuer: string; readonly issuerId: IssuerId; readonly groups: readonly string[]; readonly home: DomainView }

/** How the audit log names an admin. */
export const nameOf = (admin: Admin): string => (admin.kind === 'local' ? 'local' : admin.id);

export const groupsOf = (attributes: Attributes): readonly string[] => {
  const groups = attributes['groups'];
  return Array.isArray(groups) ? (groups as readonly string[]) : typeof groups === 'string' ? [groups] : [];
};

/** Why an admin may not do something to a domain, or undefined: a mere question, of which nothing is written down. `on` undefined: the installation as a whole. */
export type Judge = (admin: Admin, verb: AdminVerbName, on: DomainView | undefined) => Refusal | undefined;

/** Whether an admin may do it; a "no" is written down with who and what. */
export type Authorize = (admin: Admin, verb: AdminVerbName, on: DomainView | undefined) => Promise<Result<undefined, Refusal>>;

export interface JudgeDeps { readonly clock: Clock; readonly snapshot: Pick<Snapshot, 'domain'> }
export interface AuthorizeDeps extends Pick<JudgeDeps, 'snapshot'> { readonly judge: Judge; readonly denials: Pick<Denials, 'record'> }

/**
 * The socket is the way in when nothing is registered yet, guarded by the file system. Everyone else needs a policy: of the
 * system domain for anything, or of their own domain for that domain alone.
 */
export const createJudge = (deps: JudgeDeps): Judge => (admin, verb, on) => {
  if (admin.kind === 'local') return undefined;
  const target = on ?? deps.snapshot.domain(SYSTEM_DOMAIN);
  const { home } = admin;
  if (target === undefined) return refusal('admin_denied', 'the system domain is missing');
  if (isConfined(admin) && home.domain.id !== target.domain.id) return refusal('admin_denied', `${admin.id} belongs to ${home.domain.name} and cannot act on any other domain`);
  // A policy that cannot be read may be the one that forbids.
  if (home.policyProblems.length > 0) return refusal('policy_error', home.policyProblems.join('; '));
  const answer = home.engine.decideAdmin({
    domain: home.domain, verb, on: target.domain, time: deps.clock.now(), admin: { id: admin.id, groups: admin.groups, issuer: admin.issuer },
  });
  if (answer.errors.length > 0) return refusal('policy_error', answer.errors.join('; '));
  return answer.allow ? undefined : refusal('admin_denied', `no policy of ${home.domain.name} permits admin::${verb} on ${target.domain.name} to ${admin.id}`);
};

export const createAuthorize = (deps: AuthorizeDeps): Authorize => async (admin, verb, on) => {
  const refused = deps.judge(admin, verb, on);
  if (refused === undefined || admin.kind === 'local') return ok(undefined);
  const target = on ?? deps.snapshot.domain(SYSTEM_DOMAIN);
  const decision = await deps.denials.record(refused, {
    domainId: (target ?? admin.home).domain.id, workloadId: null, verified: true, admin: { by: admin.id, verb },
    facts: { admin: admin.id, issuer: admin.issuer, verb, on: target?.domain.name ?? SYSTEM_DOMAIN },
  });
  return err(refusal(refused.code, `${refused.detail}; mayfly explain ${decision}`));
};

/** Whether an admin is one domain's alone, not the installation's. */
const isConfined = (admin: Person): boolean => admin.home.domain.name !== SYSTEM_DOMAIN;

/** Which domain a question means that names none: an admin of one domain means that one, all others the installation. */
export const domainMeant = (admin: Admin): DomainView | undefined => (admin.kind === 'person' && isConfined(admin) ? admin.home : undefined);

/** The domain something was found in, unless it is beyond the admin's reach: that is answered like what does not exist. */
export const withinReach = (admin: Admin, view: DomainView | undefined): DomainView | undefined => {
  const confined = domainMeant(admin);
  return confined === undefined || view?.domain.id === confined.domain.id ? view : undefined;
};
