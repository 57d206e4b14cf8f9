import type { Entry, EntryKind } from './entries.ts';
import { gently } from './gently.ts';
import { lintEntry } from './lint-entry.ts';
import { lintIssuer } from './lint-issuers.ts';
import { lintPolicy } from './lint-policies.ts';
import { lintResource } from './lint-resources.ts';
import { LINT_RULES } from './lint-rules.ts';
import type { LintRule, Severity } from './lint-rules.ts';
import { issuerKey } from './lint-scene.ts';
import type { LintDeps, LintScene, Remark } from './lint-scene.ts';
import { lintUse } from './lint-use.ts';
import { lintWorkload } from './lint-workloads.ts';

export interface Finding {
  readonly rule: LintRule;
  readonly severity: Severity;
  readonly entry: { readonly kind: EntryKind; readonly domain: string; readonly name: string; readonly id: string };
  readonly why: string;
  readonly mend: string;
  /** Set when the entry accepts it: told, but stops nothing until then. Milliseconds. */
  readonly acceptedUntil: number | undefined;
}

/**
 * Over-broad trust among `entries` (everything that is registered). With `subjects` only those are judged, and rules that
 * need to see every entry are left out: that is what `apply` asks.
 */
export const lint = async (deps: LintDeps, entries: readonly Entry[], now: number, subjects?: readonly Entry[]): Promise<readonly Finding[]> => {
  const domains = new Map(entries.flatMap((entry) => (entry.kind === 'domain' ? [[entry.id as string, entry] as const] : [])));
  const issuers = new Map(entries.flatMap((entry) => (entry.kind === 'issuer' ? [[issuerKey(entry.domainId, entry.name), entry] as const] : [])));
  const audiences = new Set(entries.flatMap((entry) => (entry.kind === 'resource' && entry.provider !== 'domain' ? [entry.audience] : [])));
  const scene: LintScene = { deps, entries, domains, issuers, audiences, now };
  const findings: Finding[] = [];
  for await (const entry of gently(subjects ?? entries)) findings.push(...judge(entry, scene).map((remark) => findingOf(entry, remark, scene)));
  const overall = subjects === undefined ? await lintUse(scene) : [];
  return [...findings, ...overall.map(({ entry, remark }) => findingOf(entry, remark, scene))].sort((a, b) => RANK[a.severity] - RANK[b.severity]);
};

/** What stops `apply`: errors that no one accepts, or no longer. */
export const blocking = (findings: readonly Finding[]): readonly Finding[] => findings.filter(({ severity, acceptedUntil }) => severity === 'error' && acceptedUntil === undefined);

const RANK: Record<Severity, number> = { error: 0, warning: 1, info: 2 };

const judge = (entry: Entry, scene: LintScene): readonly Remark[] => [...lintEntry(entry, scene), ...judgeKind(entry, scene)];

const judgeKind = (entry: Entry, scene: LintScene): readonly Remark[] => {
  switch (entry.kind) {
    case 'domain': return [];
    case 'issuer': return lintIssuer(entry, scene);
    case 'resource': return lintResource(entry, scene);
    case 'workload': return lintWorkload(entry, scene);
    case 'policy': return lintPolicy(entry, scene);
  }
};

const findingOf = (entry: Entry, { rule, what, mend }: Remark, { domains, now }: LintScene): Finding => {
  const { severity, why } = LINT_RULES[rule];
  const accepted = entry.accept?.find((each) => each.rule === rule && each.until > now);
  const domain = entry.kind === 'domain' ? entry.name : (domains.get(entry.domainId)?.name ?? entry.domainId);
  return {
    rule, severity, entry: { kind: entry.kind, domain, name: entry.kind === 'resource' ? entry.audience : entry.name, id: entry.id },
    why: what === undefined ? why : `${what}: ${why}`, mend, acceptedUntil: accepted?.until,
  };
};
