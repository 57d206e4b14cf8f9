import type { AttributeTable } from '../attestation/attributes.ts';
import type { Issuer, Workload } from './entries.ts';
import { isGlob } from './glob.ts';
import { RISKY_EVENTS, riskyEventsOf } from './lint-issuers.ts';
import { issuerKey } from './lint-scene.ts';
import type { LintScene, Remark } from './lint-scene.ts';
import { lintTemplate } from './lint-templates.ts';

/** Match rules that let in more than the workload they describe. */
export const lintWorkload = (workload: Workload, scene: LintScene): readonly Remark[] => {
  const issuer = scene.issuers.get(issuerKey(workload.domainId, workload.match.issuer));
  if (issuer === undefined) return [{ rule: 'issuer-missing', what: workload.match.issuer, mend: 'register the issuer again, or end this workload' }];
  const table = scene.deps.attestors.get(issuer.attestor)?.attributeTable(issuer.options) ?? {};
  return [...lintIdentity(workload, table), ...lintPatterns(workload), ...lintEvents(workload, issuer, table), ...lintReusable(workload), ...lintRunner(workload, table, scene), ...lintTemplate(workload, scene)];
};

const valuesOf = (workload: Workload, name: string): readonly (string | number | boolean)[] | undefined =>
  Object.hasOwn(workload.match.attributes, name) ? workload.match.attributes[name] : undefined;

const lintIdentity = (workload: Workload, table: AttributeTable): readonly Remark[] => {
  const identifies = Object.entries(workload.match.attributes).some(([name, values]) => Object.hasOwn(table, name) && table[name]?.immutable === true && !values.some(isGlob));
  const immutable = Object.keys(table).filter((name) => table[name]?.immutable === true).slice(0, 4);
  return identifies ? [] : [{ rule: 'no-immutable-attribute', mend: `add an immutable attribute with an exact value${immutable.length === 0 ? '' : `, such as ${immutable.join(', ')}`}` }];
};

const lintPatterns = (workload: Workload): readonly Remark[] =>
  Object.entries(workload.match.attributes).flatMap(([name, values]) =>
    values.filter(isGlob).map((value) => ({ rule: String(value).startsWith('*') ? ('wildcard-open' as const) : ('wildcard' as const), what: `${name}: ${String(value)}`, mend: `list the exact values of ${name}` })));

const EVENT_ATTRIBUTES = ['event_name', 'pipeline_source'];

const lintEvents = (workload: Workload, issuer: Issuer, table: AttributeTable): readonly Remark[] =>
  EVENT_ATTRIBUTES.filter((name) => Object.hasOwn(table, name)).flatMap((name): readonly Remark[] => {
    const values = valuesOf(workload, name);
    const risky = (values ?? []).filter((value) => RISKY_EVENTS.has(String(value)));
    if (risky.length > 0) return [{ rule: 'pull-request-events', what: `${name}: ${risky.join(', ')}`, mend: 'list events that only people with write access can start, such as push and workflow_dispatch' }];
    // The issuer entry's own list protects rules that say nothing, unless it was widened.
    return values === undefined && riskyEventsOf(issuer).length > 0 ? [{ rule: 'event-unrestricted', mend: `add ${name} with the events this workload runs on` }] : [];
  });

const OWNERS = ['repository_owner_id', 'repository_id'];

const lintReusable = (workload: Workload): readonly Remark[] => {
  const called = valuesOf(workload, 'job_workflow_ref');
  if (called === undefined) return [];
  const branch = called.find((value) => String(value).includes('@refs/heads/'));
  return [
    ...(OWNERS.every((name) => valuesOf(workload, name) === undefined) ? [{ rule: 'reusable-workflow-only', mend: 'add repository_owner_id, and repository_id where possible' } as const] : []),
    ...(branch === undefined ? [] : [{ rule: 'reusable-workflow-branch', what: String(branch), mend: 'name a protected tag, or add job_workflow_sha' } as const]),
  ];
};

const lintRunner = (workload: Workload, table: AttributeTable, { domains }: LintScene): readonly Remark[] =>
  Object.hasOwn(table, 'runner_environment') && valuesOf(workload, 'runner_environment') === undefined && domains.get(workload.domainId)?.stage === 'production'
    ? [{ rule: 'runner-unrestricted', mend: 'add runner_environment with the runners this workload may run on, such as github-hosted' }]
    : [];
