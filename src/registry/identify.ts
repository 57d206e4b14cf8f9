import type { Evidence } from '../attestation/evidence.ts';
import type { WorkloadId } from '../core/ids.ts';
import { refusal } from '../core/refusal.ts';
import type { Refusal } from '../core/refusal.ts';
import { err, ok } from '../core/result.ts';
import type { Result } from '../core/result.ts';
import type { Workload } from './entries.ts';
import { isGlob } from './glob.ts';
import { matchesRule } from './match.ts';

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
export const createIdentifyIndex = (workloads: Iterable<Workload>): IdentifyIndex => {
  const issuers = new Map<string, Shelf>();
  const places = new Map<WorkloadId, readonly Bucket[]>();
  const unindexed = new Set<WorkloadId>();

  const remove = (id: WorkloadId): void => {
    for (const bucket of places.get(id) ?? []) bucket.delete(id);
    places.delete(id);
    unindexed.delete(id);
  };
  const put = (workload: Workload): void => {
    remove(workload.id);
    const shelf = issuers.get(workload.match.issuer) ?? new Map<string, Map<string | number | boolean, Bucket>>();
    issuers.set(workload.match.issuer, shelf);
    const buckets = choosePlace(shelf, workload);
    // Nothing exact to find it by: registration refuses such a rule, and here it can never match.
    if (buckets === undefined) unindexed.add(workload.id);
    else places.set(workload.id, buckets);
    for (const bucket of buckets ?? []) bucket.set(workload.id, workload);
  };
  for (const workload of workloads) put(workload);

  return {
    put,
    remove,
    get size() {
      return places.size + unindexed.size;
    },
    identify(evidence, clientId, now) {
      if (evidence.proves !== 'workloads') return err(refusal('workload_unknown', `issuer ${evidence.issuerName} does not prove workloads`));
      return choose(candidates(issuers.get(evidence.issuerName), evidence), clientId, now);
    },
  };
};

type Bucket = Map<WorkloadId, Workload>;
/** Attribute name, then exact value (its type included, as Map keys keep it). */
type Shelf = Map<string, Map<string | number | boolean, Bucket>>;

/** The exact attribute whose fullest bucket is smallest: attributes that many workloads share fill up once and are then passed over. */
const choosePlace = (shelf: Shelf, workload: Workload): readonly Bucket[] | undefined => {
  let best: { readonly name: string; readonly load: number } | undefined;
  for (const [name, values] of Object.entries(workload.match.attributes)) {
    if (values.length === 0 || values.some(isGlob)) continue;
    const load = Math.max(...values.map((value) => shelf.get(name)?.get(value)?.size ?? 0));
    if (best === undefined || load < best.load) best = { name, load };
  }
  if (best === undefined) return undefined;
  const byValue = shelf.get(best.name) ?? new Map<string | number | boolean, Bucket>();
  shelf.set(best.name, byValue);
  return (workload.match.attributes[best.name] ?? []).map((value) => {
    const bucket: Bucket = byValue.get(value) ?? new Map<WorkloadId, Workload>();
    byValue.set(value, bucket);
    return bucket;
  });
};

const candidates = (shelf: Shelf | undefined, evidence: IdentifyingEvidence): readonly Workload[] => {
  const found = new Map<WorkloadId, Workload>();
  for (const [name, byValue] of shelf ?? []) {
    const value = Object.hasOwn(evidence.attributes, name) ? evidence.attributes[name] : undefined;
    if (value === undefined) continue;
    const near = (typeof value === 'object' ? value : [value]).flatMap((member) => [...(byValue.get(member)?.values() ?? [])]);
    for (const workload of near) {
      if (matchesRule(workload.match, evidence.issuerName, evidence.attributes)) found.set(workload.id, workload);
    }
  }
  return [...found.values()];
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

const describe = (workloads: readonly Workload[]): string => {
  if (workloads.length === 0) return 'no workload';
  const shown = workloads.slice(0, 5).map((workload) => workload.name).join(', ');
  return workloads.length > 5 ? `${shown} and ${workloads.length - 5} more` : shown;
};
