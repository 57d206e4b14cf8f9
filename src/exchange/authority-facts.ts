import { z } from 'zod';
import { isOwn } from '../authority/chain.ts';
import type { PersonUrn, SpiffeId, WorkloadId } from '../core/ids.ts';
import type { JsonObject } from '../core/json.ts';
import type { DomainView } from '../snapshot/domain-view.ts';
import type { ChainLink } from '../store/rows.ts';
import type { Caller } from './caller.ts';
import type { Framing } from './decide.ts';
import { parseEvidenceFacts } from './facts.ts';

/** On whose authority something was asked, and what the caller's token held of it. */
export interface Authority extends Framing, Pick<Caller, 'ceiling'> {}

/** As a refusal keeps it: with it, the same questions can be asked again. */
export const authorityJson = ({ session, person, chain, freshness, opensTask, ceiling }: Omit<Authority, 'workload' | 'evidence'>): JsonObject => ({
  model: session.model, principal: session.principal, started_at: session.startedAt, facts: session.facts,
  ...(person === undefined ? {} : { person: { urn: person.urn, issuer: person.issuer, groups: person.groups } }),
  chain: chain.map((link) => (isOwn(link) ? { iss: link.iss, sub: link.sub, workload_id: link.workloadId, ...(link.evidence === undefined ? {} : { evidence: link.evidence }) } : { ...link })),
  ...(freshness === undefined ? {} : { fresh_at: freshness.at, fresh_within: freshness.within }), ...(opensTask ? { opens_task: true } : {}),
  ...(ceiling === undefined ? {} : { ceiling: ceiling.map(({ audience, scopes }) => ({ audience, scopes })) }),
});

const record = z.record(z.string(), z.json());
const stored = z.object({
  model: z.enum(['delegated', 'bounded', 'autonomous']), principal: z.string(), started_at: z.number(), facts: record,
  person: z.object({ urn: z.string(), issuer: z.string(), groups: z.array(z.string()) }).optional(),
  chain: z.array(z.union([z.object({ iss: z.string(), sub: z.string(), workload_id: z.string(), evidence: record }), z.object({ iss: z.string(), sub: z.string(), stage: z.enum(['development', 'staging', 'production']) })])).min(1),
  fresh_at: z.number().optional(), fresh_within: z.number().optional(), opens_task: z.boolean().default(false),
  ceiling: z.array(z.object({ audience: z.string(), scopes: z.array(z.string()) })).optional(),
});

/** What {@link authorityJson} wrote; undefined for anything else, and where who acted is no longer registered. */
export const parseAuthority = (value: unknown, view: Pick<DomainView, 'workloadById'>): Authority | undefined => {
  const parsed = stored.safeParse(value);
  if (!parsed.success) return undefined;
  const { model, principal, started_at: startedAt, facts, person, fresh_at: freshAt, fresh_within: within } = parsed.data;
  const chain = parsed.data.chain.map((link): ChainLink => {
    const { iss } = link;
    const sub = link.sub as SpiffeId;
    return 'stage' in link ? { iss, sub, stage: link.stage } : { iss, sub, workloadId: link.workload_id as WorkloadId, evidence: link.evidence };
  });
  const last = chain.at(-1);
  const workload = last !== undefined && isOwn(last) ? view.workloadById(last.workloadId) : undefined;
  if (last === undefined || !isOwn(last) || workload === undefined) return undefined;
  return {
    workload, evidence: parseEvidenceFacts(last.evidence), chain, session: { model, principal, startedAt, facts }, opensTask: parsed.data.opens_task, ceiling: parsed.data.ceiling,
    person: person && { ...person, urn: person.urn as PersonUrn },
    freshness: freshAt === undefined || within === undefined ? undefined : { at: freshAt, shown: false, within },
  };
};
