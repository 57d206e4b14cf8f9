import { z } from 'zod';
import { ENABLABLE, REVOCABLE } from '../admin/revocable.ts';

/** Bodies and queries of the admin API; OpenAPI is made from these (http/openapi.ts). */
const limit = z.coerce.number().int().min(1).max(1000).default(100).meta({ description: 'Items on a page' });
const after = z.string().max(2048).optional().meta({ description: '`next` of the page before' });
const domain = z.string().max(64).optional().meta({ description: 'Trust domain; all of them unless given' });

export const applyBody = z.strictObject({
  manifest: z.unknown().meta({ description: 'The manifest; see the Manifest schema' }),
  dry_run: z.boolean().default(false).meta({ description: 'Show the difference and write nothing' }),
  prune: z.boolean().default(false).meta({ description: 'End entries of the manifest\'s domains that it does not contain' }),
}).meta({ id: 'ApplyRequest' });

export const entriesQuery = z.object({ domain, limit, after });
export const recordsQuery = z.object({
  domain, limit, after,
  workload: z.string().max(512).optional(), session: z.string().max(64).optional(),
  active: z.enum(['true', 'false']).default('false').meta({ description: 'Only leases that are not expired' }),
});
export const removeQuery = z.object({ reason: z.string().min(1).max(500).meta({ description: 'Kept in the audit log' }) });

const subject = z.string().min(1).max(2048).meta({ description: 'Id; the name together with `domain`; of a person `urn:mayfly:<domain>:person:<issuer>:<percent-encoded sub>`' });
export const revocationBody = z.strictObject({
  kind: z.enum(REVOCABLE),
  id: subject,
  domain,
  reason: z.string().min(1).max(500),
}).meta({ id: 'RevocationRequest' });
export const revocationsQuery = z.object({ domain, limit, after, target: z.string().max(600).optional().meta({ description: 'Only those of this target, such as `session:ID`' }) });
export const enableBody = z.strictObject({ kind: z.enum(ENABLABLE), id: subject, domain }).meta({ id: 'EnableRequest' });

const attribute = z.union([z.string(), z.number(), z.boolean(), z.array(z.string())]);
export const simulateBody = z.strictObject({
  domain: z.string().max(64),
  token: z.string().max(16_384).optional().meta({ description: 'A platform\'s token; nothing is consumed' }),
  issuer: z.string().max(64).optional().meta({ description: 'With `attributes`: the issuer entry they are as if from' }),
  attributes: z.record(z.string(), attribute).optional(),
  client_id: z.string().max(2048).optional(),
  actors: z.array(z.strictObject({ workload: z.string().min(1).max(2048), attributes: z.record(z.string(), attribute).default({}) })).min(1).max(10).optional()
    .meta({ description: 'Instead of evidence: a chain of registered workloads, by name or SPIFFE ID, from the first to the one that acts now; attributes beyond what its match rule says' }),
  person: z.strictObject({ issuer: z.string().max(64), sub: z.string().min(1).max(255).refine((sub) => sub.isWellFormed(), 'is not well-formed Unicode'), groups: z.array(z.string().max(512)).max(1000).default([]) }).optional()
    .meta({ description: 'With `actors`: whom the first one acts for, as if they had logged in just now' }),
  purpose: z.string().min(1).max(500).optional().meta({ description: 'Of an autonomous workload: what its task is for; alone it opens one' }),
  hands_on_to: z.string().max(2048).optional().meta({ description: 'Workload that the last actor hands on to' }),
  audience: z.string().min(1).max(2048),
  scope: z.string().max(4096).optional(),
}).meta({ id: 'SimulateRequest' });

const budget = z.int().min(1).max(1_000_000_000).optional();
export const openTaskBody = z.strictObject({
  domain: z.string().max(64),
  workload: z.string().min(1).max(512).meta({ description: 'Autonomous workload, by name or id' }),
  purpose: z.string().min(1).max(500).regex(/^[^\p{Cc}\p{Cs}\p{Zl}\p{Zp}]+$/u).meta({ description: 'What the task is for; policies and approvers see it' }),
  deadline: z.iso.datetime().optional().meta({ description: 'When it ends; as late as the domain allows unless given' }),
  budgets: z.strictObject({ tokens: budget, agents: budget, resources: budget, spend: budget }).default({}).meta({ description: 'What it may use at most: credentials, distinct agents, distinct resources, spend; unlimited where not given, but nothing can be spent without a spend' }),
}).meta({ id: 'OpenTaskRequest' });
export const endSessionBody = z.strictObject({ reason: z.string().min(1).max(500) }).meta({ id: 'EndSessionRequest' });

export const lintQuery = z.object({ domain });
export const keysQuery = z.object({ domain });
export const rotateBody = z.strictObject({ domain: z.string().max(64), purpose: z.enum(['access', 'aws', 'set', 'status', 'checkpoint']), algorithm: z.enum(['ES256', 'RS256']).optional().meta({ description: 'Needed where the domain has keys of two algorithms for this purpose' }) }).meta({ id: 'RotateRequest' });
export const revokeKeyBody = z.strictObject({ reason: z.string().min(1).max(500) }).meta({ id: 'RevokeKeyRequest' });
export const auditQuery = z.object({ chain: z.string().max(64).optional(), after: z.coerce.number().int().min(0).default(0) });
export const verifyBody = z.strictObject({ checkpoints: z.array(z.string().max(4096)).max(100_000).default([]).meta({ description: 'Checkpoints kept outside, as compact JWS' }) }).meta({ id: 'VerifyRequest' });
export const approvalsQuery = z.object({
  domain, limit, after,
  workload: z.string().max(512).optional(),
  status: z.enum(['pending', 'approved', 'denied', 'redeemed', 'expired', 'cancelled']).optional().meta({ description: 'Of this status alone; `cancelled`: whoever asked took it back, or what it rests on was revoked' }),
});
const why = z.string().min(1).max(500).regex(/^[^\p{Cc}\p{Cs}\p{Zl}\p{Zp}]+$/u).meta({ description: 'Kept in the audit log' });
export const approveBody = z.strictObject({ reason: why.optional() }).meta({ id: 'ApproveRequest' });
export const denyBody = z.strictObject({ reason: why }).meta({ id: 'DenyRequest' });
