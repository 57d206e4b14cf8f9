import type { SessionId, WorkloadId } from '../core/ids.ts';
import type { Workload } from '../registry/entries.ts';
import { asInstance } from '../registry/template.ts';
import type { InstanceRow } from '../store/rows.ts';

/** The instances of a domain's templates that a node knows, each with the sessions it has a place in. */
export const createInstances = (templateOf: (id: WorkloadId) => Workload | undefined) => {
  const known = new Map<WorkloadId, Known>();
  const byName = new Map<string, WorkloadId>();
  return {
    add(row: InstanceRow): void {
      const sessions = known.get(row.id)?.sessions ?? new Map<SessionId, number>();
      sessions.set(row.sessionId, row.expiresAt);
      known.set(row.id, { row, sessions, made: undefined });
      byName.set(row.name, row.id);
    },
    /** INVARIANT: one object as long as its template's entry is one (policy/identity.ts). Without its template there is no instance. */
    find(id: WorkloadId): Workload | undefined {
      const instance = known.get(id);
      const template = instance === undefined ? undefined : templateOf(instance.row.templateId);
      if (instance === undefined || template?.template === undefined) return undefined;
      if (instance.made?.template !== template) instance.made = { template, workload: asInstance(template, instance.row) };
      return instance.made.workload;
    },
    idOf: (name: string): WorkloadId | undefined => byName.get(name),
    has: (id: WorkloadId, session: SessionId): boolean => known.get(id)?.sessions.has(session) === true,
    forget(before: number): void {
      for (const [id, { row, sessions }] of known) {
        for (const [session, expiresAt] of sessions) if (expiresAt <= before) sessions.delete(session);
        if (sessions.size > 0) continue;
        known.delete(id);
        byName.delete(row.name);
      }
    },
  };
};

/** Templates of which one gives names below the other's, each with the other's name: their instances could be called alike. */
export const nestedTemplates = (templates: Iterable<Pick<Workload, 'id' | 'name'>>): ReadonlyMap<WorkloadId, string> => {
  const nested = new Map<WorkloadId, string>();
  const above: Pick<Workload, 'id' | 'name'>[] = [];
  for (const template of [...templates].sort((a, b) => (`${a.name}/` < `${b.name}/` ? -1 : 1))) {
    while (above.length > 0 && !template.name.startsWith(`${above.at(-1)?.name ?? ''}/`)) above.pop();
    const outer = above.at(-1);
    if (outer !== undefined) {
      nested.set(template.id, outer.name);
      nested.set(outer.id, template.name);
    }
    above.push(template);
  }
  return nested;
};

interface Known { readonly row: InstanceRow; readonly sessions: Map<SessionId, number>; made: { readonly template: Workload; readonly workload: Workload } | undefined }
