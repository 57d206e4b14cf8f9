import { encodeTime, joinRows } from '../sql/tables.ts';
import type { Statements } from '../sql/statements.ts';
import type { Append } from './chain-writer.ts';
import type { Query } from './connection.ts';
import type { SingleOperation } from './operations.ts';

type CascadeStep = Extract<SingleOperation, { kind: 'cascade-step' }>;

/** One step of a cascade: its counts, what is left to do, and what it had to be done for, in one transaction. */
export const runCascadeStep = async (query: Query, append: Append, { cascade, registry, retention }: Statements, step: CascadeStep): Promise<boolean> => {
  const held = await query(retention.fence, JSON.stringify([{ name: step.name, fence: step.fence, now: encodeTime(step.now) }]));
  if (held.length === 0) return false;
  const taken = await query(cascade.step, `[${step.step}]`);
  if (taken.length === 0) return false;
  if (step.tasks.length > 0) await query(cascade.tasks, joinRows(step.tasks));
  for (const [kind, refs] of Object.entries(step.finished)) if (refs.length > 0) await query(cascade.finish, JSON.stringify([{ seq: step.seq }]), kind, JSON.stringify(refs));
  if (step.handles.length > 0) await query(registry.eraseHandle, JSON.stringify(step.handles));
  // Whatever else is to be told of what fell, once for each session, joins the transaction here.
  await append(step.events);
  return true;
};
