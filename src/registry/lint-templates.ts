import type { Workload } from './entries.ts';
import { isGlob } from './glob.ts';
import type { LintScene, Remark } from './lint-scene.ts';
import { namedBy } from './template.ts';

/** Beyond this a template is for more than the helpers of a few tasks. */
const CROWD = 500;

/** Templates that make a workload of more than they are meant for. */
export const lintTemplate = (workload: Workload, { domains }: LintScene): readonly Remark[] => {
  const { template, match, bound } = workload;
  if (template === undefined) return [];
  const patterns = Object.entries(match.attributes).flatMap(([name, values]) => values.filter(isGlob).map((value) => `${name}: ${String(value)}`));
  // What instances are named by does not narrow who can be one.
  const narrowing = Object.entries(match.attributes).filter(([name, values]) => !namedBy(template).includes(name) && !values.some(isGlob));
  return [
    ...patterns.map((what) => ({ rule: 'template-wildcard', what, mend: 'list the exact values' }) as const),
    ...(narrowing.length > 1 ? [] : [{ rule: 'template-broad', mend: 'name more of what its evidence has to say, such as namespace and service account' } as const]),
    ...(template.maxLive > CROWD ? [{ rule: 'template-crowd', what: `max_live ${template.maxLive}`, mend: `set max_live to ${CROWD} or less, or make several templates` } as const] : []),
    ...(!bound && domains.get(workload.domainId)?.stage === 'production' ? [{ rule: 'template-unbound', mend: 'set bound: true once its instances send DPoP proofs' } as const] : []),
  ];
};

/** Registered workloads whose name lies below a template's. Needs to see all of them. */
export const overlapping = (workloads: readonly Workload[]): readonly { readonly entry: Workload; readonly remark: Remark }[] => {
  const templates = workloads.filter(({ template }) => template !== undefined);
  return workloads.flatMap((entry) => {
    const above = templates.find(({ name }) => entry.name.startsWith(`${name}/`));
    return above === undefined ? [] : [{ entry, remark: { rule: 'template-overlap', what: `below template ${above.name}`, mend: 'give one of them another name' } as const }];
  });
};
