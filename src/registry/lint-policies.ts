import { isObject } from '../core/json.ts';
import type { Policy } from './entries.ts';
import type { LintScene, Remark } from './lint-scene.ts';

/** What lint needs to know of a statement; the policy room reads it from Cedar's own parse. */
export interface PolicyShape {
  readonly effect: 'permit' | 'forbid';
  /** The head names one entity or a group of them (`==`, `in`); `is Type` alone does not fix anything. */
  readonly fixesPrincipal: boolean;
  readonly fixesResource: boolean;
  /** The head names a type of details, which say how much of something. */
  readonly ofDetails: boolean;
  /** Number of `when` and `unless` clauses. */
  readonly conditions: number;
  /** It counts only with somebody's approval; `byPrincipal`: which may be the principal's own. */
  readonly approval?: { readonly byPrincipal: boolean };
  /** It may permit people to approve. */
  readonly permitsApproving?: boolean;
}

/** The shape of a statement in Cedar's JSON policy format. */
export const policyShape = (statement: CedarStatement): PolicyShape => ({
  effect: statement.effect, fixesPrincipal: fixes(statement.principal), fixesResource: fixes(statement.resource), ofDetails: namesDetails(statement.resource), conditions: statement.conditions.length,
  ...(statement.annotations?.['approval'] === undefined ? {} : { approval: { byPrincipal: Object.hasOwn(statement.annotations, 'approval_by_principal') } }),
  ...(statement.effect === 'permit' && mayApprove(statement.action) ? { permitsApproving: true } : {}),
});

interface CedarScope { readonly op: string; readonly in?: unknown; readonly entity?: unknown }
interface CedarStatement { readonly effect: 'permit' | 'forbid'; readonly principal: CedarScope; readonly action?: CedarScope; readonly resource: CedarScope; readonly conditions: readonly unknown[]; readonly annotations?: Readonly<Record<string, unknown>> }

const mayApprove = (action: CedarScope | undefined): boolean => action !== undefined && (action.op === 'All' || JSON.stringify(action).includes('"approve"'));

const fixes = (scope: CedarScope): boolean => scope.op === '==' || scope.op === 'in' || (scope.op === 'is' && scope.in !== undefined);

const namesDetails = ({ op, entity }: CedarScope): boolean => op === '==' && isObject(entity) && entity['type'] === 'Detail';

/** Undefined when the text cannot be parsed: it was refused at registration, and the domain is not ready if it got in otherwise. */
export type DescribePolicy = (cedar: string) => PolicyShape | undefined;

/** Permits that allow more than somebody to do something, and approvals that the wrong one could give. */
export const lintPolicy = (policy: Policy, { deps }: LintScene): readonly Remark[] => {
  const shape = deps.describePolicy(policy.cedar);
  if (shape === undefined || shape.effect === 'forbid') return [];
  const byPrincipal = shape.approval?.byPrincipal === true ? [{ rule: 'approval-by-principal' as const, mend: 'remove @approval_by_principal, so that somebody else has to agree' }] : [];
  const unmeasured: readonly Remark[] = shape.ofDetails && shape.conditions === 0 ? [{ rule: 'details-unbounded', mend: 'say how much, such as when { resource.numbers.hasTag("amount") && resource.numbers.getTag("amount") <= 100 }' }] : [];
  return [...byPrincipal, ...unmeasured, ...lintWidth(shape)];
};

const lintWidth = (shape: PolicyShape): readonly Remark[] => {
  if (shape.fixesPrincipal && shape.fixesResource) return [];
  const open = [...(shape.fixesPrincipal ? [] : ['principal']), ...(shape.fixesResource ? [] : ['resource'])];
  const what = `no fixed ${open.join(' and ')}${shape.conditions === 0 ? ' and no conditions' : ''}`;
  return [{ rule: shape.conditions === 0 ? 'permit-open' : 'permit-wide', what, mend: `write ${open.map((part) => `${part} == ...`).join(' and ')} in the head` }];
};
