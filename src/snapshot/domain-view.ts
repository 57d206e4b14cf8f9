import { sha256 } from '../core/bytes.ts';
import type { DomainId, IssuerId, ResourceId, SessionId, WorkloadId } from '../core/ids.ts';
import { refusal } from '../core/refusal.ts';
import type { Refusal } from '../core/refusal.ts';
import { err, ok } from '../core/result.ts';
import type { Result } from '../core/result.ts';
import type { KeyRing } from '../keys/key-ring.ts';
import type { PolicyEngine } from '../policy/decision.ts';
import type { Domain, Entry, InstanceOf, Issuer, Policy, Resource, Workload } from '../registry/entries.ts';
import type { IdentifyIndex, IdentifyingEvidence } from '../registry/identify.ts';
import type { EntryRow, InstanceRow, KeyRow } from '../store/rows.ts';
import { createInstances, nestedTemplates } from './instances.ts';

/** What one trust domain is made of right now. Everything in it is frozen; a change of the registry swaps entries in one step. */
export interface DomainView {
  readonly domain: Domain;
  readonly engine: PolicyEngine;
  readonly ring: KeyRing;
  /** Why the domain is not ready; empty if it is. */
  readonly problems: readonly string[];
  /** Those of them that leave policies out of decisions: while there are any, nothing may be decided. */
  readonly policyProblems: readonly string[];
  issuersFor(iss: string, purpose: Issuer['proves']): readonly Issuer[];
  issuer(name: string): Issuer | undefined;
  issuerById(id: IssuerId): Issuer | undefined;
  resource(audience: string): Resource | undefined;
  /** Every type of `authorization_details` that some resource understands, in order. */
  readonly detailTypes: readonly string[];
  identify(evidence: IdentifyingEvidence, clientId: string | undefined, now: number): Result<Workload, Refusal>;
  /** A registered workload, or an instance of a template that is still registered. */
  workloadById(id: WorkloadId): Workload | undefined;
  /** Whether this instance has its place in this session, as far as the snapshot knows. */
  hasInstance(id: WorkloadId, session: SessionId): boolean;
  workloadByName(name: string): Workload | undefined;
  workloadBySpiffeId(spiffeId: string): Workload | undefined;
  /** The newest version of each signing key. */
  keyRows(): readonly KeyRow[];
  entries(): { readonly issuers: readonly Issuer[]; readonly resources: readonly Resource[]; readonly workloads: readonly Workload[]; readonly policies: readonly Policy[] };
}

export interface DomainViewPorts {
  createIndex(): IdentifyIndex;
  buildEngine(domainId: DomainId, policies: readonly Policy[]): PolicyEngine;
  openRing(rows: readonly KeyRow[]): { readonly ring: KeyRing; readonly problems: readonly string[] };
}

/** A row and what it says; neither an entry nor a problem where it ended. */
export interface DecodedRow { readonly row: EntryRow; readonly entry: Entry | undefined; readonly problem: string | undefined }

/** The domain's state and the one way to change it: all rows of a registry delta that concern it, at once. */
export interface LiveDomain extends DomainView {
  apply(entries: readonly DecodedRow[], keys: readonly KeyRow[], instances?: readonly InstanceRow[]): void;
  /** Forgets instances that were over before this time. */
  forget(before: number): void;
}

const NO_ISSUERS: readonly Issuer[] = [];

/** Every domain's own endpoints for resource servers and event receivers: registered by nobody, permitted by policy like any other resource. */
export const introspectionAudience = (domain: Pick<Domain, 'issuer'>): string => `${domain.issuer}/introspect`;
export const signalsAudience = (domain: Pick<Domain, 'issuer'>): string => `${domain.issuer}/ssf`;
export const SSF_READ = 'ssf.read';
export const SSF_MANAGE = 'ssf.manage';

const ownResource = (domain: Domain, id: string, audience: string, scopes: readonly string[]): Resource => Object.freeze({
  kind: 'resource', id: `res_${id}` as ResourceId, version: 1, owner: domain.owner, domainId: domain.id, audience,
  provider: 'access-token', scopes, servedBy: [], bound: false, lifetime: undefined, options: { algorithm: 'ES256' }, expires: Number.MAX_SAFE_INTEGER,
});
const ownResources = (domain: Domain): ReadonlyMap<string, Resource> => new Map([
  ownResource(domain, domain.id.slice(4), introspectionAudience(domain), []),
  ownResource(domain, sha256(`ssf ${domain.id}`).toString('hex').slice(0, 32), signalsAudience(domain), [SSF_READ, SSF_MANAGE]),
].map((resource) => [resource.audience, resource]));

export const createLiveDomain = (first: Domain, ports: DomainViewPorts): LiveDomain => {
  let domain = first;
  let own = ownResources(first);
  const issuers = new Map<string, Issuer>();
  const issuersById = new Map<IssuerId, Issuer>();
  const resources = new Map<string, Resource>();
  const workloads = new Map<WorkloadId, Workload>();
  const workloadsByName = new Map<string, Workload>();
  const workloadsBySpiffeId = new Map<string, Workload>();
  const policies = new Map<string, Policy>();
  const templates = new Map<WorkloadId, Workload>();
  let nested: ReadonlyMap<WorkloadId, string> = new Map();
  const instances = createInstances((id) => workloads.get(id));
  const keyRows = new Map<string, KeyRow>();
  const undecodable = new Map<string, { readonly kind: EntryRow['kind']; readonly problem: string }>();
  // Kept up with the entries from the beginning: made at the first exchange it would hold up all who came then.
  const index = ports.createIndex();
  let issuersByIss = new Map<string, Issuer[]>();
  let engine = ports.buildEngine(first.id, []);
  let keys = ports.openRing([]);
  let problems: readonly string[] = [];
  let policyProblems: readonly string[] = [];
  let detailTypes: readonly string[] = [];

  const place = (entry: Entry): void => {
    if (entry.kind === 'domain') {
      domain = entry;
      own = ownResources(entry);
    } else if (entry.kind === 'issuer') {
      issuers.set(entry.name, entry);
      issuersById.set(entry.id, entry);
    } else if (entry.kind === 'resource') resources.set(entry.audience, entry);
    else if (entry.kind === 'policy') policies.set(entry.name, entry);
    else {
      workloads.set(entry.id, entry);
      workloadsByName.set(entry.name, entry);
      workloadsBySpiffeId.set(entry.spiffeId, entry);
      if (entry.template !== undefined) templates.set(entry.id, entry);
      index.put(entry);
    }
  };

  const dropIssuer = (name: string): void => {
    const issuer = issuers.get(name);
    if (issuer !== undefined) issuersById.delete(issuer.id);
    issuers.delete(name);
  };

  const dropWorkload = (name: string): void => {
    const workload = workloadsByName.get(name);
    if (workload === undefined) return;
    workloads.delete(workload.id);
    templates.delete(workload.id);
    workloadsByName.delete(name);
    workloadsBySpiffeId.delete(workload.spiffeId);
    index.remove(workload.id);
  };

  /** INVARIANT: no two workloads answer to one SPIFFE ID, or policies and audiences could not tell which. */
  const clashOf = ({ spiffeId }: Workload, template: InstanceOf): string | undefined => {
    if (workloadsBySpiffeId.has(spiffeId)) return 'is registered as another workload';
    const other = nested.get(template.id);
    return other === undefined ? undefined : `template ${other} gives names of the same kind`;
  };
  const findInstance = (id: WorkloadId): Workload | undefined => {
    const found = instances.find(id);
    return found?.instanceOf === undefined || clashOf(found, found.instanceOf) !== undefined ? undefined : found;
  };

  /** An ended row frees its name; a row that cannot be read must not leave its older version in force. */
  const remove = (row: EntryRow): void => {
    if (row.kind === 'issuer') dropIssuer(row.name);
    else if (row.kind === 'resource') resources.delete(row.name);
    else if (row.kind === 'policy') policies.delete(row.name);
    else if (row.kind === 'workload') dropWorkload(row.name);
  };

  return {
    get domain() { return domain; },
    get engine() { return engine; },
    get ring() { return keys.ring; },
    get problems() { return problems; },
    get policyProblems() { return policyProblems; },
    get detailTypes() { return detailTypes; },
    issuersFor: (iss, purpose) => issuersByIss.get(`${purpose} ${iss}`) ?? NO_ISSUERS,
    issuer: (name) => issuers.get(name),
    issuerById: (id) => issuersById.get(id),
    resource: (audience) => resources.get(audience) ?? own.get(audience),
    identify(evidence, clientId, now) {
      const found = index.identify(evidence, clientId, now);
      if (!found.ok || found.value.instanceOf === undefined) return found;
      const clash = clashOf(found.value, found.value.instanceOf);
      return clash === undefined ? ok(instances.find(found.value.id) ?? found.value) : err(refusal('workload_ambiguous', `${found.value.name} would be an instance of ${found.value.instanceOf.name}, and ${clash}`));
    },
    workloadById: (id) => workloads.get(id) ?? findInstance(id),
    hasInstance: (id, session) => instances.has(id, session),
    workloadByName(name) {
      const instance = instances.idOf(name);
      return workloadsByName.get(name) ?? (instance === undefined ? undefined : findInstance(instance));
    },
    workloadBySpiffeId: (spiffeId) => workloadsBySpiffeId.get(spiffeId),
    keyRows: () => [...keyRows.values()],
    entries: () => ({ issuers: [...issuers.values()], resources: [...resources.values()], workloads: [...workloads.values()], policies: [...policies.values()] }),
    forget: (before) => { instances.forget(before); },
    apply(changes, changedKeys, changedInstances = []) {
      for (const row of changedInstances) instances.add(row);
      for (const { row, entry, problem } of changes) {
        remove(row);
        undecodable.delete(row.id);
        if (problem !== undefined) undecodable.set(row.id, { kind: row.kind, problem });
        else if (entry !== undefined && !row.ended) place(entry);
      }
      const touched = new Set(changes.map(({ row }) => row.kind));
      if (touched.has('workload')) nested = nestedTemplates(templates.values());
      if (touched.has('issuer')) {
        issuersByIss = new Map();
        for (const issuer of issuers.values()) {
          const key = `${issuer.proves} ${issuer.issuer}`;
          issuersByIss.set(key, [...(issuersByIss.get(key) ?? []), issuer]);
        }
      }
      if (touched.has('resource')) detailTypes = [...new Set([...resources.values()].flatMap(({ details = [] }) => details.map(({ type }) => type)))].sort();
      if (touched.has('policy')) engine = ports.buildEngine(domain.id, [...policies.values()]);
      if (changedKeys.length > 0) {
        for (const row of changedKeys) keyRows.set(row.kid, row);
        keys = ports.openRing([...keyRows.values()]);
      }
      // Told once for each change, not for each request that asks whether the domain is ready.
      const unread = [...undecodable.values()];
      policyProblems = [...unread.filter(({ kind }) => kind === 'policy').map(({ problem }) => problem), ...engine.problems.map((problem) => `policy ${problem.policy}: ${problem.message}`)];
      problems = [...unread.filter(({ kind }) => kind !== 'policy').map(({ problem }) => problem), ...policyProblems, ...keys.problems];
    },
  };
};
