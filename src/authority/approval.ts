import { z } from 'zod';
import { sha256url } from '../core/bytes.ts';
import type { ApprovalId, DomainId, HopId, IssuerId, LeaseId, PersonUrn, SessionId, SpiffeId, WorkloadId } from '../core/ids.ts';
import { canonicalJson } from '../core/json.ts';
import { refusal } from '../core/refusal.ts';
import type { Refusal } from '../core/refusal.ts';
import { err, ok } from '../core/result.ts';
import type { Result } from '../core/result.ts';
import type { AuthorityModel } from '../registry/entries.ts';
import type { CeilingPair, ChainLink, Detail, Target } from '../store/rows.ts';
import { normalise } from './narrow.ts';
import type { RulesAt } from './narrow.ts';

/** One thing that is granted on the word of somebody for each of these names: a scope, details (RFC 9396), or with neither the audience itself. */
export interface Need { readonly audience: string; readonly scope: string | null; readonly detail?: Detail | undefined; readonly names: readonly string[] }

/** What a whole request needs people for, and within which time, milliseconds. */
export interface Needs { readonly things: readonly Need[]; readonly ttl: number; readonly byPrincipal: boolean }

/** Of both, within the shorter time; a principal's own word counts only where it does for each. */
export const uniteNeeds = (a: Needs | undefined, b: Needs | undefined): Needs | undefined =>
  (a === undefined || b === undefined ? a ?? b : { things: [...a.things, ...b.things], ttl: Math.min(a.ttl, b.ttl), byPrincipal: a.byPrincipal && b.byPrincipal });

/** A person as their issuer knows them. */
export interface KnownPerson { readonly person: string; readonly iss: string; readonly sub: string }

/** Everything that was asked, and seen when it was asked. What is in it is what people agree to, and nothing else is issued. */
export interface Frozen {
  readonly approval: ApprovalId;
  readonly domain: DomainId;
  readonly session: SessionId;
  /** In the hop of its token, as the session's first actor, or below whoever handed on to it. */
  readonly place: { readonly kind: 'hop' } | { readonly kind: 'first' } | { readonly kind: 'below'; readonly parent: HopId; readonly handover: LeaseId };
  readonly workload: WorkloadId;
  readonly actor: SpiffeId;
  readonly issuer: IssuerId;
  readonly key: string;
  readonly chain: readonly ChainLink[];
  /** The token it came with from another trust domain (its lease there). */
  readonly crossing: LeaseId | null;
  readonly person: { readonly urn: PersonUrn; readonly issuer: string; readonly groups: readonly string[] } | null;
  readonly login: { readonly person: PersonUrn; readonly authTime: number } | null;
  /** Who must not agree to it: the person acted for, and whoever is accountable for the session. */
  readonly parties: readonly { readonly person: string; readonly iss: string | null; readonly sub: string | null }[];
  /** Of the workload, with the time it was shown here. */
  readonly evidence: { readonly kind: string; readonly issuer: string; readonly subject: string; readonly attributes: Readonly<Record<string, string | number | boolean | readonly string[]>> };
  readonly shownAt: number;
  readonly showedEvidence: boolean;
  readonly opensTask: boolean;
  readonly model: AuthorityModel;
  readonly principal: string;
  readonly startedAt: number;
  /** When what the session rests on was shown last; null where it need not be fresh. */
  readonly freshAt: number | null;
  /** In the words of whoever opened the task. */
  readonly purpose: string | null;
  readonly held: readonly CeilingPair[] | null;
  readonly path: readonly Target[];
  readonly asked: {
    readonly target: string | null; readonly scopes: readonly string[]; readonly ceiling: readonly CeilingPair[] | null; readonly details: readonly Detail[] | null; readonly tokenType: string | null;
    readonly handOnTo: SpiffeId | null; readonly clientId: string | null;
  };
  /** For a session token: then it stands for the hop as long as it lasts, and not for one credential. */
  readonly forHop: boolean;
  /** Seconds a credential of the target lives. */
  readonly lifetime: number;
  /** What was decided: exactly this may be issued. */
  readonly granted: readonly CeilingPair[];
  readonly needs: readonly Need[];
  readonly byPrincipal: boolean;
  readonly policies: readonly { readonly name: string; readonly version: number }[];
  readonly registryVersion: number;
  readonly askedAt: number;
  readonly expiresAt: number;
}

/** The text people agree to, and the hash under which it is kept (RFC 8785 for the values used here). */
export const freeze = (frozen: Frozen): { readonly text: string; readonly hash: string } => {
  const text = canonicalJson(frozen);
  return { text, hash: sha256url(text) };
};

/** What was frozen under this id and hash; a text that is not that is never acted on. */
export const thaw = ({ id, frozen: text, hash }: { readonly id: ApprovalId; readonly frozen: string; readonly hash: string }): Result<Frozen, Refusal> => {
  if (sha256url(text) !== hash) return err(refusal('approval_damaged', `what is stored of ${id} does not have its hash`));
  const parsed = frozenSchema.safeParse(JSON.parse(text));
  // By another id: an approved text put into the row of another request.
  return parsed.success && parsed.data.approval === id ? ok(parsed.data as unknown as Frozen) : err(refusal('approval_damaged', `what is stored of ${id} is not of it`));
};

export const namesIn = (needs: readonly Need[]): readonly string[] => [...new Set(needs.flatMap(({ names }) => names))].sort();

/** Whether each need is one that was agreed to: the same thing, under all the names it needs now. */
export const covers = (agreed: readonly Need[], needs: readonly Need[]): boolean =>
  needs.every((need) => need.names.every((name) => agreed.some((thing) => thing.audience === need.audience && thing.scope === need.scope && isSameDetail(thing.detail, need.detail) && thing.names.includes(name))));

const isSameDetail = (a: Detail | undefined, b: Detail | undefined): boolean => (a === undefined || b === undefined ? a === b : canonicalJson(a) === canonicalJson(b));

/** Not less, not more, not otherwise: what was agreed to is issued whole or not at all. */
export const isSameGrant = (decided: readonly CeilingPair[], { granted }: Pick<Frozen, 'granted'>, rulesAt: RulesAt): boolean => canonicalJson(normalise(decided, rulesAt)) === canonicalJson(normalise(granted, rulesAt));

/** Whether somebody is among those who must not decide on the request; told by issuer and subject, whatever entry knows them. */
export const isParty = ({ person, iss, sub }: KnownPerson, { parties }: Pick<Frozen, 'parties'>): boolean =>
  parties.some((party) => party.person === person || (party.iss === iss && party.sub === sub));

/** One person counts once for a name. */
export const isSamePerson = (a: Pick<KnownPerson, 'iss' | 'sub'>, b: Pick<KnownPerson, 'iss' | 'sub'>): boolean => a.iss === b.iss && a.sub === b.sub;

/** Names nobody has agreed under yet. */
export const missingNames = (names: readonly string[], votes: readonly { readonly name: string }[]): readonly string[] => names.filter((name) => !votes.some((vote) => vote.name === name));

const detail = z.looseObject({ type: z.string() });
const pairs = z.array(z.strictObject({ audience: z.string(), scopes: z.array(z.string()), details: z.array(detail).optional() }));
/** Strict: a member this version does not know was frozen for a reason. */
const frozenSchema = z.strictObject({
  approval: z.string(), domain: z.string(), session: z.string(), workload: z.string(), actor: z.string(), issuer: z.string(), key: z.string(),
  place: z.discriminatedUnion('kind', [z.strictObject({ kind: z.literal('hop') }), z.strictObject({ kind: z.literal('first') }), z.strictObject({ kind: z.literal('below'), parent: z.string(), handover: z.string() })]),
  chain: z.array(z.union([z.strictObject({ iss: z.string(), sub: z.string(), workloadId: z.string(), evidence: z.record(z.string(), z.unknown()) }), z.strictObject({ iss: z.string(), sub: z.string(), stage: z.string() })])).min(1),
  crossing: z.string().nullable(),
  person: z.strictObject({ urn: z.string(), issuer: z.string(), groups: z.array(z.string()) }).nullable(),
  login: z.strictObject({ person: z.string(), authTime: z.number() }).nullable(),
  parties: z.array(z.strictObject({ person: z.string(), iss: z.string().nullable(), sub: z.string().nullable() })),
  evidence: z.strictObject({ kind: z.string(), issuer: z.string(), subject: z.string(), attributes: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.array(z.string())])) }),
  shownAt: z.number(), showedEvidence: z.boolean(), opensTask: z.boolean(), model: z.enum(['delegated', 'bounded', 'autonomous']), principal: z.string(), startedAt: z.number(), freshAt: z.number().nullable(), purpose: z.string().nullable(), held: pairs.nullable(), path: z.array(z.string()).min(1),
  asked: z.strictObject({ target: z.string().nullable(), scopes: z.array(z.string()), ceiling: pairs.nullable(), details: z.array(detail).nullable(), tokenType: z.string().nullable(), handOnTo: z.string().nullable(), clientId: z.string().nullable() }),
  forHop: z.boolean(), lifetime: z.number(), granted: pairs.min(1),
  needs: z.array(z.strictObject({ audience: z.string(), scope: z.string().nullable(), detail: detail.optional(), names: z.array(z.string()).min(1) })).min(1),
  byPrincipal: z.boolean(), policies: z.array(z.strictObject({ name: z.string(), version: z.number() })), registryVersion: z.number(), askedAt: z.number(), expiresAt: z.number(),
});
