import type { Evidence } from '../attestation/evidence.ts';
import type { WorkloadId } from '../core/ids.ts';
import { refusal } from '../core/refusal.ts';
import type { Refusal } from '../core/refusal.ts';
import { err, ok } from '../core/result.ts';
import type { Result } from '../core/result.ts';
import type { Workload } from './entries.ts';
import { isGlob } from './glob.ts';
import { compileRule, matchesRule } from './match.ts';
import type { CompiledRule } from './match.ts';
import { instanceFor } from './template.ts';

export type IdentifyingEvidence = Pick<Evidence, 'issuerName' | 'proves' | 'attributes'>;

/** Step "attributes -> workload" for one trust domain. */
export interface IdentifyIndex {
  /** `clientId` is the SPIFFE ID the caller claims; it chooses among workloads the evidence matches and can never add one. */
  identify(evidence: IdentifyingEvidence, clientId: string | undefined, now: number): Result<Workload, Refusal>;
  /** Takes a new or changed workload; no other is touched. */
  put(workload: Workload): void;
  remove(id: WorkloadId): void;
  readonly size: number;
}

/**
 * Each workload lies under one attribute of its rule and that attribute's exact values; evidence looks up its own
 * values, so the cost follows the evidence, not the number of workloads.
 */
export const createIdentifyIndex = (workloads: Iterable<Workload> = []): IdentifyIndex => {
  const issuers = new Map<string, Shelf>();
  const filed = new Map<WorkloadId, Filed>();

  const remove = (id: WorkloadId): void => {
    const known = filed.get(id);
    if (known !== undefined) takeOff(issuers.get(known.workload.match.issuer), known);
    filed.delete(id);
  };
  const put = (workload: Workload): void => {
    remove(workload.id);
    const shelf: Shelf = issuers.get(workload.match.issuer) ?? new Map<string, Map<Value, Filed[]>>();
    issuers.set(workload.match.issuer, shelf);
    const rule = compileRule(workload.match);
    const entry: Filed = { workload, rule, under: choosePlace(shelf, rule) };
    putOn(shelf, entry);
    filed.set(workload.id, entry);
  };
  for (const workload of workloads) put(workload);

  return {
    put,
    remove,
    get size() {
      return filed.size;
    },
    identify(evidence, clientId, now) {
      if (evidence.proves !== 'workloads') return err(refusal('workload_unknown', `issuer ${evidence.issuerName} does not prove workloads`));
      const matched = findMatches(issuers.get(evidence.issuerName), evidence);
      const templates = matched.filter(({ template }) => template !== undefined);
      // INVARIANT: whoever is registered is never an instance of something, not even when that registration has run out or is blocked.
      return templates.length > 0 && templates.length === matched.length ? chooseInstance(templates, evidence, clientId, now) : choose(matched.filter(({ template }) => template === undefined), clientId, now);
    },
  };
};

type Value = string | number | boolean;
/** Attribute name, then exact value (its type included, as Map keys keep it). */
type Shelf = Map<string, Map<Value, Filed[]>>;
interface Filed {
  readonly workload: Workload;
  readonly rule: CompiledRule;
  /** The attribute it lies under. Undefined: nothing exact to find it by; registration refuses such a rule, and here it never matches. */
  readonly under: CompiledRule[number] | undefined;
}

/** The exact attribute whose fullest value holds fewest: attributes that many workloads share fill up once and are then passed over. */
const choosePlace = (shelf: Shelf, rule: CompiledRule): CompiledRule[number] | undefined => {
  let best: CompiledRule[number] | undefined;
  let bestLoad = Infinity;
  for (const place of rule) {
    const [name, allowed] = place;
    if (allowed.length === 0 || allowed.some(isGlob)) continue;
    const load = Math.max(...allowed.map((value) => shelf.get(name)?.get(value)?.length ?? 0));
    if (load < bestLoad) [best, bestLoad] = [place, load];
  }
  return best;
};

const putOn = (shelf: Shelf, entry: Filed): void => {
  if (entry.under === undefined) return;
  const [name, allowed] = entry.under;
  const byValue = shelf.get(name) ?? new Map<Value, Filed[]>();
  shelf.set(name, byValue);
  for (const value of new Set(allowed)) {
    const near = byValue.get(value);
    if (near === undefined) byValue.set(value, [entry]);
    else near.push(entry);
  }
};

const takeOff = (shelf: Shelf | undefined, entry: Filed): void => {
  const [name, allowed] = entry.under ?? ['', []];
  const byValue = shelf?.get(name);
  for (const value of allowed) {
    const left = byValue?.get(value)?.filter((each) => each !== entry) ?? [];
    if (left.length === 0) byValue?.delete(value);
    else byValue?.set(value, left);
  }
};

const findMatches = (shelf: Shelf | undefined, { attributes }: IdentifyingEvidence): readonly Workload[] => {
  const found = new Set<Workload>();
  for (const [name, byValue] of shelf ?? []) {
    const value = Object.hasOwn(attributes, name) ? attributes[name] : undefined;
    if (value === undefined) continue;
    const near = typeof value === 'object' ? value.flatMap((member) => byValue.get(member) ?? []) : byValue.get(value);
    for (const { workload, rule } of near ?? []) if (matchesRule(rule, attributes)) found.add(workload);
  }
  return [...found];
};

const choose = (matched: readonly Workload[], clientId: string | undefined, now: number): Result<Workload, Refusal> => {
  const named = clientId === undefined ? matched : matched.filter((workload) => workload.spiffeId === clientId);
  if (clientId !== undefined && named.length === 0) return err(refusal('client_id_mismatch', `the evidence matches ${describe(matched)}, not the client_id`));
  if (matched.length === 0) return err(refusal('workload_unknown', 'the evidence matches no workload'));
  const live = named.filter((workload) => workload.expires > now);
  const [only, another] = live;
  if (only === undefined) return err(refusal('workload_expired', `registration of ${describe(named)} has expired`));
  if (another !== undefined) return err(refusal('workload_ambiguous', `the evidence matches ${describe(live)}; client_id must name one of them`));
  return ok(only);
};

/** A client_id cannot choose between templates: one instance that is revoked would go on as another. */
const chooseInstance = (templates: readonly Workload[], { attributes }: IdentifyingEvidence, clientId: string | undefined, now: number): Result<Workload, Refusal> => {
  const [template, another] = templates;
  if (template === undefined || another !== undefined) return err(refusal('workload_ambiguous', `the evidence matches the templates ${describe(templates)}: mend their rules`));
  if (template.expires <= now) return err(refusal('workload_expired', `registration of ${describe(templates)} has expired`));
  const instance = instanceFor(template, attributes);
  if (instance === undefined) return err(refusal('workload_unknown', `the evidence matches template ${template.name}, and its attributes do not make a name`));
  return clientId !== undefined && clientId !== instance.spiffeId ? err(refusal('client_id_mismatch', `the evidence is ${instance.name}, not the client_id`)) : ok(instance);
};

const describe = (workloads: readonly Workload[]): string => {
  if (workloads.length === 0) return 'no workload';
  const shown = workloads.slice(0, 5).map((workload) => workload.name).join(', ');
  return workloads.length > 5 ? `${shown} and ${workloads.length - 5} more` : shown;
};
