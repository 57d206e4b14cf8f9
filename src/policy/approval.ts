import type { PolicyJson } from '@cedar-policy/cedar-wasm/nodejs';
import { HOUR, MINUTE } from '../core/duration.ts';
import type { ApprovalDemand } from './decision.ts';
import { plainUid } from './head.ts';

/** What is wrong with an annotation, and the mend. */
export interface AnnotationProblem { readonly annotation: string; readonly message: string; readonly help: string }

/**
 * What the annotations of a statement ask of people. An annotation nobody knows is a problem: a misspelt `@approval` would be a
 * permit without one.
 */
export const readApproval = (statement: PolicyJson, annotations: ReadonlyMap<string, string>): { readonly demand: ApprovalDemand | undefined; readonly problems: readonly AnnotationProblem[] } => {
  const problems: AnnotationProblem[] = [];
  const report = (annotation: string, message: string, help: string): void => { problems.push({ annotation, message, help }); };
  for (const name of annotations.keys()) if (!KNOWN.has(name)) report(name, `@${name} is no annotation that means anything here`, `the annotations are ${[...KNOWN].map((known) => `@${known}`).join(', ')}`);
  const written = annotations.get('approval');
  if (written === undefined) {
    for (const name of [TTL, BY_PRINCIPAL]) if (annotations.has(name)) report(name, `@${name} says something of an approval, and there is no @approval`, 'add @approval("<name>"), or remove it');
    return { demand: undefined, problems };
  }
  if (statement.effect === 'forbid') report('approval', 'a forbid cannot be approved away', 'remove the annotation, or make the statement a permit');
  const unapprovable = actionsNamed(statement).find((action) => action === 'approve' || action.startsWith('admin::') || action === 'admin' || action === 'admin-read');
  if (unapprovable !== undefined) report('approval', `Action::"${unapprovable}" is nothing a request waits for`, 'annotate permits of issue, act, delegate or open');
  const names = written.split(',').map((name) => name.trim());
  if (names.length > MOST_NAMES || new Set(names).size < names.length || !names.every((name) => NAME.test(name))) report('approval', `@approval(${JSON.stringify(written)}) is not a list of names`, `write at most ${MOST_NAMES} different names, such as @approval("payments-leads") or @approval("payments-leads, security"): lower-case letters, digits and hyphens`);
  const ttl = readTtl(annotations.get(TTL));
  if (ttl === undefined) report(TTL, `@${TTL}(${JSON.stringify(annotations.get(TTL))}) is not a time from 1m to 24h`, 'write minutes or hours, such as @approval_ttl("30m") or @approval_ttl("8h")');
  const said = annotations.get(BY_PRINCIPAL);
  if (said !== undefined && said !== '') report(BY_PRINCIPAL, `@${BY_PRINCIPAL} takes no value`, 'write it alone to let the principal approve, or remove it');
  return { demand: problems.length > 0 || ttl === undefined ? undefined : { names: names.toSorted(), ttl, byPrincipal: said !== undefined }, problems };
};

/** What several permits, or several decisions, ask together: all of their names, the shortest time, and the principal only where each lets them. */
export const uniteDemands = (demands: readonly ApprovalDemand[]): ApprovalDemand | undefined => {
  const [first, ...others] = demands;
  if (first === undefined || others.length === 0) return first;
  return {
    names: [...new Set(demands.flatMap(({ names }) => names))].sort(),
    ttl: Math.min(...demands.map(({ ttl }) => ttl)),
    byPrincipal: demands.every(({ byPrincipal }) => byPrincipal),
  };
};

const TTL = 'approval_ttl';
const BY_PRINCIPAL = 'approval_by_principal';
/** The last ones are notes for people. */
const KNOWN: ReadonlySet<string> = new Set(['approval', TTL, BY_PRINCIPAL, 'id', 'description', 'reason', 'reviewed', 'ticket']);

const NAME = /^[a-z][a-z0-9-]{0,62}$/;
const MOST_NAMES = 5;
const DEFAULT_TTL = HOUR;
/** Standards.md H3: a deferral code lives a day at most. */
const LONGEST_TTL = 24 * HOUR;

const readTtl = (written: string | undefined): number | undefined => {
  if (written === undefined) return DEFAULT_TTL;
  const [, count, unit] = /^([1-9]\d{0,3})([mh])$/.exec(written) ?? [];
  if (count === undefined) return undefined;
  const ttl = Number(count) * (unit === 'h' ? HOUR : MINUTE);
  return ttl <= LONGEST_TTL ? ttl : undefined;
};

const actionsNamed = ({ action }: PolicyJson): readonly string[] => {
  if (action.op === 'All') return [];
  const entities = 'entities' in action ? action.entities : 'entity' in action ? [action.entity] : [];
  return entities.map((entity) => plainUid(entity).id);
};
