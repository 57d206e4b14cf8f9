import type { AttributeTable } from '../attestation/attributes.ts';
import { ADMIN_GROUP, ADMIN_READ_GROUP, ADMIN_VERBS, groupsOf, isAdminVerb, WORKLOAD_ACTIONS } from './actions.ts';

/** How one attestor kind's evidence appears in `context.evidence`. */
export interface EvidenceShape {
  /** The kind in snake_case. */
  readonly field: string;
  /** Undefined: the names follow from each issuer's configuration, so attributes are `name=value` strings in one set. */
  readonly table: AttributeTable | undefined;
}

/** The vocabulary of design section 6 as a Cedar schema. */
export interface PolicySchema {
  /** In Cedar's schema syntax, for `validate` and for people. */
  readonly text: string;
  /** By attestor kind. */
  readonly evidence: ReadonlyMap<string, EvidenceShape>;
}

/** The one kind whose attributes are named by configuration and not by code. */
export const OPEN_KIND = 'oidc';

/** Builds the schema from the attestors' attribute tables. Throws on names Cedar or `context` could not tell apart: a fault of the catalogue. */
export const createPolicySchema = (attributeTables: ReadonlyMap<string, AttributeTable>): PolicySchema => {
  const evidence = new Map<string, EvidenceShape>([[OPEN_KIND, { field: OPEN_KIND, table: undefined }]]);
  for (const [kind, table] of attributeTables) {
    if (kind === OPEN_KIND) continue;
    const field = kind.replaceAll('-', '_');
    if ([...evidence.values()].some((shape) => shape.field === field)) throw new Error(`two attestor kinds are called ${field} in policies`);
    evidence.set(kind, { field: checkedName(field), table });
  }
  return { text: schemaText([...evidence.values()]), evidence };
};

const ALWAYS = ['issuer: String', 'subject: String'];

const schemaText = (shapes: readonly EvidenceShape[]): string => `
// What workloads and people are decided with. Time is UTC.
type Evidence = {
${shapes.map(evidenceField).join(',\n')}
};
type Request = {
  evidence: Evidence,
  chain: { actors: Set<String>, length: Long, first?: String, domains: Set<String>, stages: Set<String> },
  session: { model: String, principal: String, age_seconds: Long, depth: Long, fresh_seconds?: Long, purpose?: String },
  request: { bound: Bool, time: datetime, lifetime: Long, actor?: String, approval?: String },
};
type AdminRequest = { request: { time: datetime } };

entity Group;
// Whose instances act: those have no policies of their own.
entity Template;
entity Workload in [Template] = { name: String, kind: String, model: String, owner: String, stage: String };
entity Person in [Group] = { issuer: String };
entity Admin in [Group] = { issuer: String };
entity Domain = { name: String, stage: String };
entity Resource in [Domain] = { audience: String, owner: String, provider: String };
entity Scope in [Resource, Domain] = { name: String, audience: String, owner: String, provider: String };
// One of the authorization_details asked for, called "<audience>#<type>". In no resource and no domain: a permit for a whole resource was
// written for what has no measure. Which fields there are each resource says, so they are tags, in one bag for each type of value.
entity Detail = { type: String, audience: String, owner: String, provider: String, texts: DetailTexts, numbers: DetailNumbers, sets: DetailSets };
entity DetailTexts tags String;
entity DetailNumbers tags Long;
entity DetailSets tags Set<String>;

action ${WORKLOAD_ACTIONS.filter((action) => action !== 'approve').map((action) => JSON.stringify(action)).join(', ')} appliesTo { principal: [Workload, Person], resource: [Scope, Resource, Detail], context: Request };
// Workloads never approve.
action "approve" appliesTo { principal: [Person], resource: [Scope, Resource, Detail], context: Request };

action ${JSON.stringify(ADMIN_GROUP)};
action ${JSON.stringify(ADMIN_READ_GROUP)} in [Action::${JSON.stringify(ADMIN_GROUP)}];
${Object.keys(ADMIN_VERBS).filter(isAdminVerb).map((verb) => `action "admin::${verb}" in [${groupsOf(verb).map((group) => `Action::"${group}"`).join(', ')}] appliesTo { principal: [Admin], resource: [Domain], context: AdminRequest };`).join('\n')}
`;

const evidenceField = ({ field, table }: EvidenceShape): string => {
  const attributes = table === undefined ? ['attributes: Set<String>'] : Object.entries(table).map(([name, spec]) => `${JSON.stringify(freeName(field, name))}${spec.required ? '' : '?'}: ${spec.type}`);
  return `  ${JSON.stringify(field)}?: { ${[...ALWAYS, ...attributes].join(', ')} }`;
};

/** `issuer` and `subject` come from the evidence itself; an attribute of that name would hide one of them. */
const freeName = (field: string, name: string): string => {
  if (name === 'issuer' || name === 'subject') throw new Error(`attestor ${field} has an attribute called ${name}, which every kind has already`);
  return checkedName(name);
};

const checkedName = (name: string): string => {
  if (!/^[a-z][a-z0-9_]*$/.test(name)) throw new Error(`${JSON.stringify(name)} is no name for a policy: lower case letters, digits and _ only`);
  return name;
};
