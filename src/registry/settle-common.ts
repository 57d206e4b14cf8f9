import type { JsonObject } from '../core/json.ts';
import type { Domain } from './entries.ts';
import { canonicalTime, timeOf } from './fields.ts';
import type { Report } from './problem.ts';
import { nearest } from './problem.ts';
import { LINT_RULES } from './lint-rules.ts';
import { brokenKey, rowKey } from './scene.ts';
import type { Scene } from './scene.ts';
import type { Acceptance } from './schemas.ts';

/** `owner`, `expires` and `accept` as they are stored; reports dates that have passed and unknown lint rules. */
export const settleCommon = (entry: { readonly owner: string; readonly expires?: string | undefined; readonly accept?: readonly Acceptance[] | undefined }, now: number, report: Report): JsonObject => {
  if (entry.expires !== undefined && timeOf(entry.expires) <= now) report('expires', `${entry.expires} has passed`, 'set a later date, or remove the entry');
  for (const [index, { rule }] of (entry.accept ?? []).entries()) {
    if (Object.hasOwn(LINT_RULES, rule)) continue;
    const meant = nearest(rule, Object.keys(LINT_RULES));
    report(`accept[${index}].rule`, 'is not a lint rule', meant === undefined ? 'name a rule that lint reported for this entry' : `did you mean "${meant}"?`);
  }
  return {
    owner: entry.owner,
    ...(entry.expires === undefined ? {} : { expires: canonicalTime(entry.expires) }),
    ...(entry.accept === undefined || entry.accept.length === 0 ? {} : { accept: entry.accept.map(({ rule, reason, until }) => ({ rule, reason, until: canonicalTime(until) })) }),
  };
};

/** Whether a workload may be named: it exists, or something is wrong with its own entry, which is reported there. */
export const isWorkload = (name: string, domain: Domain, scene: Scene): boolean =>
  scene.workloadNames.has(rowKey('workload', domain.id, name)) || scene.broken.has(brokenKey('workload', domain.name, name));

/** Reports a name of no workload of the domain, with the one that was probably meant. */
export const checkWorkloadExists = (name: string, domain: Domain, scene: Scene, field: string, report: Report): void => {
  if (isWorkload(name, domain, scene)) return;
  const meant = scene.workloadsMeant.get(rowKey('workload', domain.id, name));
  report(field, `there is no workload ${name} in domain ${domain.name}`, meant === undefined ? 'add it under workloads, or remove it here' : `did you mean "${meant}"?`);
};

/** A list whose order says nothing: sorted, so that reordering is no change. Doubles are reported. */
export const settleSet = (values: readonly string[], field: string, report: Report): readonly string[] => {
  for (const [index, value] of values.entries()) {
    if (values.indexOf(value) < index) report(`${field}[${index}]`, `${value} is listed twice`, 'remove one of them');
  }
  return [...new Set(values)].sort();
};
