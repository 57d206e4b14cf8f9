import { z } from 'zod';
import { asTime, printable } from './output.ts';

const text = z.string();
const pairSchema = z.looseObject({ audience: text, scopes: z.array(text) });
const useSchema = z.looseObject({ kind: text, audience: text, scope: text, count: z.number(), last_at: z.unknown() });
const becauseSchema = z.looseObject({ reason: text, at: z.unknown().optional(), by: text.optional(), target: text.optional() });

/** One hop as the admin API tells of it. */
export const hopSchema = z.looseObject({
  id: text, parent: text.nullable(), actor: text, workload: text, owner: text.nullable(), status: text, because: becauseSchema.optional(), bound_to: text.nullable(), expires_at: z.unknown(),
  ceiling: z.array(pairSchema), decision: text.nullable(), policies: z.array(text), used: z.array(useSchema),
});
export type Hop = z.output<typeof hopSchema>;

/** A session with its chain. Not every session has a purpose, a person or budgets. */
export const sessionSchema = z.looseObject({
  id: text, status: text, because: becauseSchema.optional(), domain: text, model: text, person: text.optional(), workload: text.optional(), principal: text, purpose: text.optional(), issuer: text,
  started_at: z.unknown(), expires_at: z.unknown(), fresh_until: z.unknown().optional(), budgets: z.record(text, z.object({ most: z.number(), used: z.number() })).default({}),
  hops: z.array(hopSchema), more_hops: z.boolean().default(false), more_uses: z.boolean().default(false),
});
export type Session = z.output<typeof sessionSchema>;

/** The session, then who acts in it: each actor below the one that handed on to it. */
export const renderSession = (session: Session): string => [...headOf(session), '', ...(session.hops.length === 0 ? ['nobody has acted in it yet'] : renderHops(session.hops)), ...restOf(session)].join('\n');

const headOf = ({ id, status, because, person, workload, budgets, ...session }: Session): readonly string[] => [
  `session ${printable(id)}: ${printable(status)}${because === undefined ? '' : ` (${whyOf(because)})`}`,
  ...rows([
    ['domain', session.domain], ['model', session.model], [person === undefined ? 'workload' : 'person', person ?? workload], ['principal', session.principal], ['purpose', session.purpose], ['issuer', session.issuer],
    ['started', asTime(session.started_at)], ['expires', asTime(session.expires_at)], ['fresh until', asTime(session.fresh_until)],
    ...Object.entries(budgets).map(([kind, { used, most }]): Row => [printable(kind), `${used} of ${most} used`]),
  ], '  '),
];

type Row = readonly [name: string, value: unknown];
const rows = (members: readonly Row[], indent: string): readonly string[] =>
  members.filter(([, value]) => value !== undefined && value !== null && value !== '').map(([name, value]) => `${indent}${name.padEnd(11)} ${printable(value)}`);

const whyOf = ({ reason, by, at, target }: z.output<typeof becauseSchema>): string =>
  [printable(reason), ...(by === undefined ? [] : [`by ${printable(by)}`]), ...(at === undefined ? [] : [`at ${printable(asTime(at))}`]), ...(target === undefined ? [] : [`on ${printable(target)}`])].join(', ');

/** A hop whose parent is not among them stands at the top: nothing of the chain is left out of the picture. */
const renderHops = (hops: readonly Hop[]): readonly string[] => {
  const known = new Set(hops.map(({ id }) => id));
  const below = Map.groupBy(hops, ({ parent }) => (parent === null || !known.has(parent) ? null : parent));
  const drawn = new Set<string>();
  const draw = (hop: Hop, first: string, rest: string): readonly string[] => {
    if (drawn.has(hop.id)) return [];
    drawn.add(hop.id);
    const children = below.get(hop.id) ?? [];
    return [
      `${first}${titleOf(hop)}`, ...detailsOf(hop).map((line) => `${rest}${children.length === 0 ? '   ' : '│  '}${line}`),
      ...children.flatMap((child, at) => (at === children.length - 1 ? draw(child, `${rest}└─ `, `${rest}   `) : draw(child, `${rest}├─ `, `${rest}│  `))),
    ];
  };
  return (below.get(null) ?? []).flatMap((hop) => draw(hop, '', ''));
};

const titleOf = ({ workload, actor, status, because }: Hop): string =>
  `${printable(workload)}  ${printable(actor)}  ${printable(status)}${because === undefined ? '' : ` (${whyOf(because)})`}`;

const detailsOf = (hop: Hop): readonly string[] => rows([
  ['hop', hop.id], ['owner', hop.owner], ['bound to', hop.bound_to], ['decision', hop.decision], ['policies', hop.policies.join(', ')],
  ...hop.ceiling.map((pair): Row => ['ceiling', pairOf(pair.audience, pair.scopes.join(' '))]), ['expires', asTime(hop.expires_at)],
  ...hop.used.map((use): Row => ['used', `${use.count} x ${use.kind} for ${pairOf(use.audience, use.scope)}, last at ${String(asTime(use.last_at))}`]),
  ...(hop.used.length === 0 ? [['used', 'not yet'] as const] : []),
], '');

const pairOf = (audience: string, scopes: string): string => (scopes === '' ? audience : `${audience}: ${scopes}`);

const restOf = ({ more_hops: hops, more_uses: uses }: Session): readonly string[] =>
  [...(hops ? ['there are more actors than these'] : []), ...(uses ? ['some older uses are left out: mayfly lease list --session shows all'] : [])];
