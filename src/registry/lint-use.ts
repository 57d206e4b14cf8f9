import { canonicalJson } from '../core/json.ts';
import type { Entry, Policy, Resource, Workload } from './entries.ts';
import { gently } from './gently.ts';
import type { DescribePolicy } from './lint-policies.ts';
import type { LintScene, Remark } from './lint-scene.ts';
import { overlapping } from './lint-templates.ts';

export interface RemarkOn { readonly entry: Entry; readonly remark: Remark }

/** What only shows when every entry is seen: entries that nothing uses, workloads that one piece of evidence matches, and approvals nobody could give. */
export const lintUse = async (scene: LintScene): Promise<readonly RemarkOn[]> => {
  const found: (readonly RemarkOn[])[] = [];
  for (const here of Map.groupBy(scene.entries, (entry) => (entry.kind === 'domain' ? '' : entry.domainId)).values()) {
    const workloads = here.filter((entry) => entry.kind === 'workload');
    const permits = permitsOf(here.filter((entry) => entry.kind === 'policy'), scene.deps.describePolicy);
    found.push(unusedIssuers(here, workloads), unusedResources(here.filter((entry) => entry.kind === 'resource'), permits), unusedWorkloads(here, workloads, permits), await sameMatches(workloads), overlapping(workloads), unanswerable(here.filter((entry) => entry.kind === 'policy'), scene));
  }
  return found.flat();
};

/** Quoted texts of the permits of a domain, and whether some permit is for resources or principals it does not name. */
interface Permits { readonly named: ReadonlySet<string>; readonly anyResource: boolean; readonly anyPrincipal: boolean }

const permitsOf = (policies: readonly Policy[], describe: DescribePolicy): Permits => {
  // Admin permits are about domains; they make no resource or workload used.
  const permits = policies.filter(({ effect, cedar }) => effect === 'permit' && !cedar.includes('Action::"admin'));
  const shapes = permits.map(({ cedar }) => describe(cedar));
  const named = permits.flatMap(({ cedar }) => [...cedar.matchAll(/"((?:[^"\\]|\\.)*)"/g)].map((quoted) => quoted[1] ?? ''));
  // A head `resource in Domain::"..."` names no resource either, so it counts for all of them.
  const coversDomain = permits.some(({ cedar }) => /\bin\s+Domain::"/.test(cedar));
  return {
    named: new Set(named),
    anyResource: coversDomain || shapes.some((shape) => shape === undefined || !shape.fixesResource),
    anyPrincipal: shapes.some((shape) => shape === undefined || !shape.fixesPrincipal),
  };
};

const unusedIssuers = (here: readonly Entry[], workloads: readonly Workload[]): readonly RemarkOn[] => {
  const used = new Set(workloads.map(({ match }) => match.issuer));
  return here.flatMap((entry) => (entry.kind === 'issuer' && entry.proves === 'workloads' && !used.has(entry.name) ? [{ entry, remark: { rule: 'unused-issuer', mend: 'remove it, or register the workloads it is for' } as const }] : []));
};

const unusedResources = (resources: readonly Resource[], { named, anyResource }: Permits): readonly RemarkOn[] => resources.flatMap((entry): readonly RemarkOn[] => {
  if (anyResource || named.has(entry.audience)) return [];
  const unused = entry.scopes.filter((scope) => !named.has(`${entry.audience}#${scope}`));
  if (unused.length === entry.scopes.length) return [{ entry, remark: { rule: 'unused-resource', mend: 'write a policy that permits it, or remove it' } }];
  return unused.length === 0 ? [] : [{ entry, remark: { rule: 'unused-scope', what: unused.join(', '), mend: 'write a policy that permits it, or remove the scope' } }];
});

const unusedWorkloads = (here: readonly Entry[], workloads: readonly Workload[], { named, anyPrincipal }: Permits): readonly RemarkOn[] => {
  if (anyPrincipal) return [];
  const servers = new Set(here.flatMap((entry) => (entry.kind === 'resource' ? entry.servedBy : [])));
  return workloads.flatMap((entry) => (named.has(entry.template === undefined ? entry.spiffeId : entry.name) || servers.has(entry.name) ? [] : [{ entry, remark: { rule: 'unused-workload', mend: 'write a policy that permits it something, or remove it' } as const }]));
};

const unanswerable = (policies: readonly Policy[], { deps, now }: LintScene): readonly RemarkOn[] => {
  const shapes = policies.filter(({ expires }) => expires === undefined || expires > now).map((entry) => ({ entry, shape: deps.describePolicy(entry.cedar) }));
  if (shapes.some(({ shape }) => shape?.permitsApproving === true)) return [];
  const mend = 'permit somebody the action approve, such as: permit(principal in Group::"payments-leads", action == Action::"approve", resource in Resource::"...");';
  return shapes.flatMap(({ entry, shape }) => (shape?.approval === undefined ? [] : [{ entry, remark: { rule: 'approval-unanswerable', mend } as const }]));
};

const sameMatches = async (workloads: readonly Workload[]): Promise<readonly RemarkOn[]> => {
  const first = new Map<string, Workload>();
  const found: RemarkOn[] = [];
  for await (const entry of gently(workloads)) {
    const rule = canonicalJson(entry.match);
    const twin = first.get(rule);
    if (twin === undefined) first.set(rule, entry);
    else found.push({ entry, remark: { rule: 'same-match', what: `the same rule as ${twin.name}`, mend: 'give them rules that differ' } });
  }
  return found;
};
