import { z } from 'zod';
import type { CliContext } from './context.ts';
import { say, tell } from './context.ts';
import { anyFell, fallenSchema, leasesOf, sayHonoured } from './fallen.ts';
import { printable, printJson } from './output.ts';

const findingSchema = z.looseObject({ rule: z.string(), severity: z.string(), why: z.string(), mend: z.string().optional(), name: z.string().optional(), accepted: z.unknown().optional() });

/** What the admin API says of a change to the registry, planned or made. */
export const applyAnswerSchema = fallenSchema.extend({ changes: z.array(z.unknown()), text: z.array(z.string()), applied: z.boolean(), version: z.number().optional(), findings: z.array(findingSchema).default([]) });
export type ApplyAnswer = z.infer<typeof applyAnswerSchema>;

/** The difference on stdout, the linter's findings on stderr. */
export const showPlan = (context: CliContext, { text, findings }: ApplyAnswer): void => {
  for (const line of text) say(context, printable(line));
  for (const { severity, rule, name, why, mend } of findings) tell(context, `${severity} ${rule}${name === undefined ? '' : ` (${printable(name)})`}: ${printable(why)}${mend === undefined ? '' : `; ${printable(mend)}`}`);
};

export const finishApply = (context: CliContext, answer: ApplyAnswer, json: boolean, sentence: string): void => {
  if (json) return printJson(context, answer);
  tell(context, sentence);
  if (anyFell(answer)) tell(context, `${leasesOf(answer)} ended`);
  sayHonoured(context, answer);
};

export const appliedSentence = ({ applied, version }: ApplyAnswer): string => (applied ? `applied${version === undefined ? '' : `: registry version ${version}`}` : 'nothing to change');
