import { z } from 'zod';
import { isObject } from '../core/json.ts';
import { err, ok } from '../core/result.ts';
import type { Result } from '../core/result.ts';

const texts = z.union([z.string().min(1), z.array(z.string().min(1)).min(1)]);
const values = z.union([z.string(), z.number(), z.boolean(), z.array(z.union([z.string(), z.number(), z.boolean()]))]);
const statement = z.strictObject({
  Sid: z.string().regex(/^[A-Za-z0-9]*$/).optional(),
  Effect: z.enum(['Allow', 'Deny']),
  Action: texts.optional(),
  NotAction: texts.optional(),
  Resource: texts.optional(),
  NotResource: texts.optional(),
  Condition: z.record(z.string(), z.record(z.string(), values)).optional(),
});
const document = z.strictObject({
  Version: z.literal('2012-10-17').default('2012-10-17'),
  Id: z.string().optional(),
  Statement: z.union([statement, z.array(statement).min(1).max(50)]),
});
export type SessionPolicy = z.output<typeof document>;
type Statement = z.output<typeof statement>;

/** An IAM session policy as a resource entry holds it: a mapping, or the JSON text one would paste from AWS. */
export const sessionPolicySchema = z.union([document, z.string().max(10_000)]);

/** STS limit for inline and managed session policies together, plain text. */
export const MAX_SESSION_POLICY = 2048;

/** Reads a configured policy; the error is a sentence with the mend. Room is kept for the end that may have to be written in. */
export const readSessionPolicy = (configured: unknown): Result<SessionPolicy, string> => {
  const parsed = document.safeParse(typeof configured === 'string' ? parseJson(configured) : configured);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    return err(`session_policy is no IAM policy (${issue === undefined ? '' : [...issue.path, issue.message].join(' ')}): write Version "2012-10-17" and Statements of Effect, Action and Resource`);
  }
  const statements = statementsOf(parsed.data);
  if (statements.some((one) => (one.Action === undefined) === (one.NotAction === undefined) || (one.Resource === undefined) === (one.NotResource === undefined))) {
    return err('every statement of session_policy needs exactly one of Action and NotAction, and one of Resource and NotResource');
  }
  if (statements.some(setsTime)) return err('session_policy has a DateLessThan condition on aws:CurrentTime, where Mayfly writes the end of a session: leave it out, or use DateLessThanEquals');
  const length = writeSessionPolicy(parsed.data, FAR_END).length;
  return length <= MAX_SESSION_POLICY ? ok(parsed.data) : err(`session_policy has ${length} characters with the end of a session written in, AWS takes ${MAX_SESSION_POLICY}: shorten it, or attach a managed policy to the role`);
};

/**
 * The policy text for one session; undefined when none is needed. AWS sessions live 900 seconds at least: one that must end
 * sooner gets its end written into the policy, an allow-all one if none is configured (a session policy can only narrow).
 */
export const writeSessionPolicy = (policy: SessionPolicy | undefined, endsAt: number | undefined): string => {
  const { Version, Id, Statement: configured } = policy ?? ALLOW_ALL;
  const statements = Array.isArray(configured) ? configured : [configured];
  return JSON.stringify({ Version, Id, Statement: endsAt === undefined ? statements : endAt(statements, endsAt) });
};

const ALLOW_ALL: SessionPolicy = { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: '*', Resource: '*' }] };
const FAR_END = Date.UTC(2100, 0);

const statementsOf = ({ Statement: some }: SessionPolicy): readonly Statement[] => (Array.isArray(some) ? some : [some]);

/**
 * Every statement that allows holds only until the end. A Deny keeps holding: ended too, it would free what it forbids for
 * grants outside the session policy, as a bucket policy that names the session. For those the last statement closes everything.
 */
const endAt = (statements: readonly Statement[], endsAt: number): readonly Statement[] => {
  const time = new Date(Math.floor(endsAt / 1000) * 1000).toISOString().replace('.000Z', 'Z');
  const ended = statements.map((one) => (one.Effect === 'Deny' ? one : { ...one, Condition: { ...one.Condition, DateLessThan: { ...one.Condition?.['DateLessThan'], 'aws:CurrentTime': time } } }));
  return [...ended, { Effect: 'Deny', Action: '*', Resource: '*', Condition: { DateGreaterThanEquals: { 'aws:CurrentTime': time } } }];
};

/** IAM reads operator and key names in any case. */
const setsTime = ({ Condition: conditions = {} }: Statement): boolean =>
  Object.entries(conditions).some(([operator, keys]) => operator.toLowerCase() === 'datelessthan' && Object.keys(keys).some((key) => key.toLowerCase() === 'aws:currenttime'));

const parseJson = (text: string): unknown => {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
};
