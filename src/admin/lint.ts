import type { Clock } from '../core/clock.ts';
import { SYSTEM_DOMAIN } from '../core/reserved.ts';
import { refusal } from '../core/refusal.ts';
import type { Refusal } from '../core/refusal.ts';
import { err, ok } from '../core/result.ts';
import type { Result } from '../core/result.ts';
import { lint } from '../registry/lint.ts';
import type { Finding } from '../registry/lint.ts';
import type { LintDeps } from '../registry/lint-scene.ts';
import type { Snapshot } from '../snapshot/snapshot.ts';
import { domainMeant } from './access.ts';
import type { Admin, Authorize } from './access.ts';

/** Over-broad trust in what is registered now; with a domain, in that one alone. */
export const createLintAdmin = (deps: { readonly clock: Clock; readonly snapshot: Pick<Snapshot, 'domain' | 'domains'>; readonly authorize: Authorize; readonly lint: LintDeps }) =>
  async (domain: string | undefined, admin: Admin): Promise<Result<readonly Finding[], Refusal>> => {
    const view = domain === undefined ? domainMeant(admin) : deps.snapshot.domain(domain);
    const permitted = await deps.authorize(admin, 'lint', view);
    if (!permitted.ok) return permitted;
    if (domain !== undefined && view === undefined) return err(refusal('not_found', `no domain ${domain}`));
    // All entries are looked at, since what one domain trusts may clash with another; shown are the asked domain's.
    const entries = deps.snapshot.domains().filter((each) => each.domain.name !== SYSTEM_DOMAIN || each.entries().issuers.length > 0).flatMap((each) => {
      const { issuers, resources, workloads, policies } = each.entries();
      return [each.domain, ...issuers, ...resources, ...workloads, ...policies];
    });
    const findings = await lint(deps.lint, entries, deps.clock.now());
    return ok(view === undefined ? findings : findings.filter(({ entry }) => entry.domain === view.domain.name));
  };
export type LintAdmin = ReturnType<typeof createLintAdmin>;
