/** IAM policy documents, as far as roles of the demo and the tests use them: evaluated as AWS does, unknown parts refused. */
export interface IamStatement {
  readonly Sid?: string;
  readonly Effect: 'Allow' | 'Deny';
  readonly Principal?: { readonly Federated: string | readonly string[] };
  readonly Action?: string | readonly string[];
  readonly NotAction?: string | readonly string[];
  readonly Resource?: string | readonly string[];
  readonly NotResource?: string | readonly string[];
  readonly Condition?: Readonly<Record<string, Readonly<Record<string, string | readonly string[]>>>>;
}
export interface IamPolicy { readonly Version: '2012-10-17'; readonly Statement: readonly IamStatement[] }

export interface IamRequest {
  readonly action: string;
  /** Undefined for trust policies, which have no Resource. */
  readonly resource: string | undefined;
  readonly federated?: string;
  /** Keys in lower case. */
  readonly context: ReadonlyMap<string, string>;
}

/** Default deny, an explicit Deny wins (IAM, "Policy evaluation logic"). */
export const allows = (policy: IamPolicy, request: IamRequest): boolean => {
  const applying = policy.Statement.filter((statement) => applies(statement, request));
  return applying.some(({ Effect }) => Effect === 'Allow') && !applying.some(({ Effect }) => Effect === 'Deny');
};

/** A policy document from JSON; throws with what is wrong, as CreateRole and AssumeRole refuse it. */
export const parsePolicy = (text: string): IamPolicy => {
  const raw = JSON.parse(text) as { Version?: unknown; Statement?: unknown; [other: string]: unknown };
  if (typeof raw !== 'object' || raw === null || Array.isArray(raw)) throw new Error('not an object');
  if (raw.Version !== '2012-10-17') throw new Error('Version');
  const statements: readonly Record<string, unknown>[] = Array.isArray(raw.Statement) ? raw.Statement : [raw.Statement];
  for (const statement of statements) checkStatement(statement);
  return { Version: '2012-10-17', Statement: statements as unknown as readonly IamStatement[] };
};

const MEMBERS = ['Sid', 'Effect', 'Principal', 'Action', 'NotAction', 'Resource', 'NotResource', 'Condition'];

const checkStatement = (statement: Record<string, unknown>): void => {
  if (typeof statement !== 'object' || statement === null) throw new Error('Statement');
  const unknown = Object.keys(statement).find((member) => !MEMBERS.includes(member));
  if (unknown !== undefined) throw new Error(unknown);
  if (statement['Effect'] !== 'Allow' && statement['Effect'] !== 'Deny') throw new Error('Effect');
  if (('Action' in statement) === ('NotAction' in statement)) throw new Error('Action');
  for (const operator of Object.keys(statement['Condition'] ?? {})) if (!OPERATORS.has(operator)) throw new Error(operator);
};

const applies = (statement: IamStatement, request: IamRequest): boolean => {
  if (request.federated !== undefined && !list(statement.Principal?.Federated).includes(request.federated)) return false;
  const action = statement.Action === undefined ? !matchesAny(statement.NotAction, request.action.toLowerCase(), lower) : matchesAny(statement.Action, request.action.toLowerCase(), lower);
  if (!action) return false;
  if (request.resource !== undefined && !fitsResource(statement, request.resource)) return false;
  return Object.entries(statement.Condition ?? {}).every(([operator, keys]) =>
    Object.entries(keys).every(([key, values]) => OPERATORS.get(operator)?.(request.context.get(key.toLowerCase()), list(values)) ?? false));
};

const fitsResource = (statement: IamStatement, resource: string): boolean =>
  statement.Resource === undefined ? !matchesAny(statement.NotResource, resource) : matchesAny(statement.Resource, resource);

const lower = (text: string): string => text.toLowerCase();
const list = (value: string | readonly string[] | undefined): readonly string[] => (value === undefined ? [] : typeof value === 'string' ? [value] : value);
const matchesAny = (patterns: string | readonly string[] | undefined, value: string, spell: (text: string) => string = (text) => text): boolean => list(patterns).some((pattern) => matches(spell(pattern), value));
const matches = (pattern: string, value: string): boolean =>
  new RegExp(`^(?:${pattern.replace(/[.+^${}()|[\]\\]/g, '\\$&').replace(/\*/g, '.*').replace(/\?/g, '.')})$`, 's').test(value);

type Operator = (actual: string | undefined, values: readonly string[]) => boolean;
const onDates = (holds: (actual: number, value: number) => boolean): Operator => (actual, values) => actual !== undefined && values.some((value) => holds(Date.parse(actual), Date.parse(value)));
const OPERATORS: ReadonlyMap<string, Operator> = new Map<string, Operator>([
  ['StringEquals', (actual, values) => actual !== undefined && values.includes(actual)],
  ['StringNotEquals', (actual, values) => actual === undefined || !values.includes(actual)],
  ['StringLike', (actual, values) => actual !== undefined && values.some((value) => matches(value, actual))],
  ['DateLessThan', onDates((actual, value) => actual < value)],
  ['DateLessThanEquals', onDates((actual, value) => actual <= value)],
  ['DateGreaterThan', onDates((actual, value) => actual > value)],
  ['DateGreaterThanEquals', onDates((actual, value) => actual >= value)],
]);
