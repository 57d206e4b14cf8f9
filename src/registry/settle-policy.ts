import type { Settle } from './scene.ts';
import type { PolicyEntry } from './schemas.ts';
import { settleCommon } from './settle-common.ts';

/** A policy's body: one statement that validates against the schema, and for a permit an end. */
export const settlePolicy: Settle<PolicyEntry> = (entry, domain, scene, report) => {
  const common = settleCommon(entry, scene.now, report);
  // Trailing blanks come from YAML's block style; leading ones stay, since positions are counted from the start.
  const cedar = entry.cedar.trimEnd();
  const { effect, problems } = scene.deps.validatePolicy(entry.name, cedar, domain);
  for (const { message, help, line, column } of problems) {
    const place = line === undefined ? '' : `line ${line}${column === undefined ? '' : `, column ${column}`}: `;
    report('cedar', `${place}${message}`, help ?? 'correct the statement');
  }
  if (effect === undefined) return undefined;
  if (effect === 'permit' && entry.expires === undefined) report('expires', 'is missing, and a permit must end', 'write it like expires: 2027-05-01');
  return { name: entry.name, cedar, effect, ...common };
};
