import type { Attributes } from '../attestation/attributes.ts';
import type { Clock } from '../core/clock.ts';
import { refusal } from '../core/refusal.ts';
import type { Refusal } from '../core/refusal.ts';
import { SYSTEM_DOMAIN } from '../core/reserved.ts';
import { err, ok } from '../core/result.ts';
import type { Result } from '../core/result.ts';
import type { AdminVerbName } from '../policy/actions.ts';
import type { DomainView } from '../snapshot/domain-view.ts';
import type { Snapshot } from '../snapshot/snapshot.ts';

/** Who acts on the admin plane: whoever may open the local socket, or a person proven by an issuer that proves admins. */
export type Admin =
  | { readonly kind: 'local' }
  | { readonly kind: 'person'; readonly id: string; readonly issuer: string; readonly groups: readonly string[]; readonly home: DomainView };

/** How the audit log names an admin. */
export const nameOf = (admin: Admin): string => (admin.kind === 'local' ? 'local' : admin.id);

export const groupsOf = (attributes: Attributes): readonly string[] => {
  const groups = attributes['groups'];
  return Array.isArray(groups) ? (groups as readonly string[]) : typeof groups === 'string' ? [groups] : [];
};

/** Whether an admin may do something to a domain. `on` undefined: the installation as a whole. */
export type Authorize = (admin: Admin, verb: AdminVerbName, on: DomainView | undefined) => Result<undefined, Refusal>;

/**
 * The socket is the way in when nothing is registered yet, guarded by the file system. Everyone else needs a policy: of the
 * system domain for anything, or of their own domain for that domain alone.
 */
export const createAuthorize = (deps: { readonly clock: Clock; readonly snapshot: Pick<Snapshot, 'domain'> }): Authorize => (admin, verb, on) => {
  if (admin.kind === 'local') return ok(undefined);
  const system = deps.snapshot.domain(SYSTEM_DOMAIN);
  const target = on ?? system;
  if (system === undefined || target === undefined) return err(refusal('admin_denied', 'the system domain is missing'));
  const { home } = admin;
  if (home.domain.id !== system.domain.id && home.domain.id !== target.domain.id) return err(refusal('admin_denied', `${admin.id} belongs to ${home.domain.name} and cannot act on ${target.domain.name}`));
  const answer = home.engine.decideAdmin({
    domain: home.domain, verb, on: target.domain, time: deps.clock.now(), admin: { id: admin.id, groups: admin.groups, issuer: admin.issuer },
  });
  if (answer.errors.length > 0) return err(refusal('policy_error', answer.errors.join('; ')));
  return answer.allow ? ok(undefined) : err(refusal('admin_denied', `no policy of ${home.domain.name} permits admin::${verb} on ${target.domain.name} to ${admin.id}`));
};
