import { z } from 'zod';
import type { CliContext } from './context.ts';
import { say } from './context.ts';
import { printable } from './output.ts';

/** What fell with something, in an answer of the admin API; a change that revoked nothing says nothing of it. */
export const fallenSchema = z.looseObject({ leases: z.number().optional(), more: z.boolean().default(false), ends_by_itself: z.array(z.unknown()).default([]) });
export type Fallen = z.output<typeof fallenSchema>;

/** Such as `3 and more active leases`. */
export const leasesOf = ({ leases = 0, more }: Fallen): string => `${leases}${more ? ' and more' : ''} active ${leases === 1 && !more ? 'lease' : 'leases'}`;

/** Whether anything did: who ends an entry that nothing hung on is told nothing of leases. */
export const anyFell = ({ leases = 0, more }: Fallen): boolean => leases > 0 || more;

/** One line for each credential that its target goes on honouring. */
export const sayHonoured = (context: Pick<CliContext, 'stdout'>, { ends_by_itself: honoured }: Fallen): void => {
  for (const each of honoured) say(context, `  cannot be taken back at its target: ${printable(each)}`);
};
