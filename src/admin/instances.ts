import { isObject } from '../core/json.ts';
import type { JsonObject } from '../core/json.ts';
import type { WorkloadId } from '../core/ids.ts';
import type { DomainView } from '../snapshot/domain-view.ts';
import type { Snapshot } from '../snapshot/snapshot.ts';
import type { EntryRow, Target } from '../store/rows.ts';
import type { InstanceStanding, StoreReads } from '../store/store.ts';

export interface InstancePorts {
  readonly store: Pick<StoreReads, 'instances' | 'liveInstances'>;
  readonly snapshot: Pick<Snapshot, 'revokedBy' | 'version'>;
}

const SHOWN = 100;

/** How many live instances each of these entries has, by id; of templates only. */
export const countLive = async ({ store }: InstancePorts, rows: readonly EntryRow[], now: number): Promise<ReadonlyMap<string, JsonObject>> => {
  const templates = rows.filter(isTemplate).map(({ id }) => id as WorkloadId);
  const live = templates.length === 0 ? new Map<string, number>() : await store.liveInstances(templates, now);
  return new Map(templates.map((id) => [id, { live_instances: live.get(id) ?? 0 }]));
};

/** The newest instances of a template whose session is not over by its time. */
export const showInstances = async (ports: InstancePorts, row: EntryRow, now: number): Promise<JsonObject> => {
  if (!isTemplate(row)) return {};
  const standings = await ports.store.instances({ domainId: row.domainId, templateId: row.id as WorkloadId, liveAt: now }, SHOWN);
  return { ...(await countLive(ports, [row], now)).get(row.id), instances: standings.map((standing) => ({ id: standing.instance.id, name: standing.instance.name, spiffe_id: standing.instance.spiffeId, ...placeOf(ports, standing) })) };
};

/** An instance by id or name, with each session it has a place in; undefined where there is none. */
export const showInstance = async (ports: InstancePorts, view: DomainView, idOrName: string): Promise<JsonObject | undefined> => {
  const { id: domainId, name: domain } = view.domain;
  const byId = await ports.store.instances({ domainId, id: idOrName }, SHOWN);
  const places = byId.length > 0 ? byId : await ports.store.instances({ domainId, name: idOrName }, SHOWN);
  const [first] = places;
  if (first === undefined) return undefined;
  const { id, name, spiffeId, templateId } = first.instance;
  const template = view.workloadById(templateId);
  return {
    domain, id, name, spiffe_id: spiffeId, template: template?.name ?? templateId, ...(template === undefined ? {} : { kind: template.workloadKind, authority: template.authority, owner: template.owner }),
    sessions: places.map((place) => placeOf(ports, place)),
  };
};

const isTemplate = ({ kind, body }: EntryRow): boolean => kind === 'workload' && isObject(body['template']);

const placeOf = ({ snapshot }: InstancePorts, { instance, ended }: InstanceStanding): JsonObject => {
  const { id, templateId, sessionId, domainId, createdAt, expiresAt } = instance;
  const isRevoked = (...targets: readonly Target[]): boolean => snapshot.revokedBy(targets, snapshot.version) !== undefined;
  // A session that was ended is revoked as well; which of the two it was is told.
  const status = isRevoked(`domain:${domainId}`, `workload:${templateId}`, `workload:${id}`) ? 'revoked' : ended ? 'ended' : isRevoked(`session:${sessionId}`) ? 'revoked' : 'live';
  return { session: sessionId, status, created_at: new Date(createdAt).toISOString(), expires_at: new Date(expiresAt).toISOString() };
};
