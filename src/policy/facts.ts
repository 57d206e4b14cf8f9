import type { Context, Entities, EntityJson, TypeAndId } from '@cedar-policy/cedar-wasm/nodejs';
import type { Attributes, AttributeSpec, AttributeTable, AttributeValue } from '../attestation/attributes.ts';
import { rememberLast } from '../core/remember.ts';
import { err, ok } from '../core/result.ts';
import type { Result } from '../core/result.ts';
import type { Domain, Resource, Workload } from '../registry/entries.ts';
import { groupsOf, isAdminVerb, isWorkloadAction, SYSTEM_DOMAIN } from './actions.ts';
import type { AdminQuestion, DetailFacts, Question } from './decision.ts';
import { uidKey } from './head.ts';
import type { PolicySchema } from './schema.ts';

/** A question in Cedar's terms, in full; what of it is handed over is decided per set of policies (mentions.ts). */
export interface Facts {
  readonly principal: TypeAndId;
  readonly action: TypeAndId;
  readonly resource: TypeAndId;
  /** Keys under which policies fixed to this request's resource are found. */
  readonly resourceKeys: readonly string[];
  /** Each with all its ancestors, so that an entity without attributes may be left out. Made when asked for: a known verdict needs none. */
  entities(): Entities;
  readonly context: Context;
  /** Milliseconds. */
  readonly time: number;
}

/** The error is a sentence for admins: a question that does not fit the vocabulary is never decided, only refused. */
export const factsOf = (schema: PolicySchema, question: Question): Result<Facts, string> => {
  const { domain, workload, person, resource, scope, detail, session, request } = question;
  if (!isWorkloadAction(question.action)) return err(`no action is called ${JSON.stringify(question.action)}`);
  if (question.action === 'approve' && person === undefined) return err('a workload never approves');
  if (workload.domainId !== domain.id) return err(`workload ${workload.name} is not of domain ${domain.name}`);
  if (resource.domainId !== domain.id) return err(`resource ${resource.audience} is not of domain ${domain.name}`);
  if (scope !== undefined && !resource.scopes.includes(scope)) return err(`${JSON.stringify(scope)} is no scope of ${resource.audience}`);
  // `<audience>#<scope>` would name scopes of two resources.
  if (detail !== undefined && scope !== undefined) return err('details and a scope are two questions');
  if (detail !== undefined && !(resource.details ?? []).some(({ type }) => type === detail.type)) return err(`${JSON.stringify(detail.type)} is no type of details of ${resource.audience}`);
  if ((scope !== undefined || detail !== undefined) && resource.audience.includes('#')) return err(`${resource.audience} has a # in it, so that its scopes have no name of their own`);
  const time = datetime(request.time);
  if (time === undefined) return err('the time of the request is no time');
  const evidence = evidenceRecord(schema, question.evidence);
  if (!evidence.ok) return evidence;

  const parent = { type: 'Resource', id: resource.audience };
  const asked = detail !== undefined ? { type: 'Detail', id: `${resource.audience}#${detail.type}` } : scope === undefined ? parent : { type: 'Scope', id: `${resource.audience}#${scope}` };
  return ok({
    principal: person === undefined ? { type: 'Workload', id: workload.spiffeId } : { type: 'Person', id: person.urn },
    action: { type: 'Action', id: question.action },
    resource: asked,
    resourceKeys: scope === undefined ? [uidKey(asked)] : [uidKey(asked), uidKey(parent)],
    entities: () => [
      person === undefined ? workloadEntity(workload, domain) : personEntity(person), domainEntity(domain),
      ...(detail === undefined ? resourceEntities(resource, scope, domain) : detailEntities(resource, detail)),
    ],
    context: {
      evidence: evidence.value,
      chain: {
        actors: [...question.chain], length: question.chain.length, ...(question.chain[0] === undefined ? {} : { first: question.chain[0] }),
        domains: (question.passed ?? []).map(({ iss }) => iss), stages: (question.passed ?? []).map(({ stage }) => stage),
      },
      session: {
        model: session.model, principal: session.principal, age_seconds: session.ageSeconds, depth: session.depth,
        ...(session.freshSeconds === undefined ? {} : { fresh_seconds: session.freshSeconds }), ...(session.purpose === undefined ? {} : { purpose: session.purpose }),
      },
      request: { bound: request.bound, time, lifetime: request.lifetime, ...(request.actor === undefined ? {} : { actor: request.actor }), ...(request.approval === undefined ? {} : { approval: request.approval }) },
    },
    time: request.time,
  });
};

/** The same for an action of an admin on a domain. */
export const adminFactsOf = ({ domain, verb, admin, on, time: asked }: AdminQuestion): Result<Facts, string> => {
  if (!isAdminVerb(verb)) return err(`no admin action is called ${JSON.stringify(verb)}`);
  // INVARIANT: a domain's policies decide about that domain; only the system domain's reach further (design section 11).
  if (on.id !== domain.id && domain.name !== SYSTEM_DOMAIN) return err(`policies of ${domain.name} say nothing about ${on.name}`);
  const time = datetime(asked);
  if (time === undefined) return err('the time of the request is no time');
  const action = { type: 'Action', id: `admin::${verb}` };
  const principal = { type: 'Admin', id: admin.id };
  return ok({
    principal,
    action,
    resource: { type: 'Domain', id: on.name },
    resourceKeys: [],
    entities: () => [
      { uid: principal, attrs: { issuer: admin.issuer }, parents: admin.groups.map((id) => ({ type: 'Group', id })) },
      { uid: action, attrs: {}, parents: groupsOf(verb).map((id) => ({ type: 'Action', id })) },
      domainEntity(on),
    ],
    context: { request: { time } },
    time: asked,
  });
};

const workloadEntity = (workload: Workload, domain: Domain): EntityJson => ({
  uid: { type: 'Workload', id: workload.spiffeId },
  attrs: { name: workload.name, kind: workload.workloadKind, model: workload.authority, owner: workload.owner, stage: domain.stage },
  parents: workload.instanceOf === undefined ? [] : [{ type: 'Template', id: workload.instanceOf.name }],
});

const personEntity = ({ urn, issuer, groups }: NonNullable<Question['person']>): EntityJson => ({ uid: { type: 'Person', id: urn }, attrs: { issuer }, parents: groups.map((id) => ({ type: 'Group', id })) });

const domainEntity = ({ name, stage }: Domain): EntityJson => ({ uid: { type: 'Domain', id: name }, attrs: { name, stage }, parents: [] });

const resourceEntities = ({ audience, owner, provider }: Resource, scope: string | undefined, domain: Domain): Entities => {
  const above = { type: 'Domain', id: domain.name };
  const parent = { uid: { type: 'Resource', id: audience }, attrs: { audience, owner, provider }, parents: [above] };
  if (scope === undefined) return [parent];
  return [{ uid: { type: 'Scope', id: `${audience}#${scope}` }, attrs: { name: scope, audience, owner, provider }, parents: [{ type: 'Resource', id: audience }, above] }, parent];
};

const detailEntities = ({ audience, owner, provider }: Resource, { type, texts, numbers, sets }: DetailFacts): Entities => {
  const id = `${audience}#${type}`;
  const bag = (name: string): { readonly __entity: { readonly type: string; readonly id: string } } => ({ __entity: { type: name, id } });
  return [
    { uid: { type: 'Detail', id }, attrs: { type, audience, owner, provider, texts: bag('DetailTexts'), numbers: bag('DetailNumbers'), sets: bag('DetailSets') }, parents: [] },
    { uid: { type: 'DetailTexts', id }, attrs: {}, parents: [], tags: { ...texts } },
    { uid: { type: 'DetailNumbers', id }, attrs: {}, parents: [], tags: { ...numbers } },
    { uid: { type: 'DetailSets', id }, attrs: {}, parents: [], tags: Object.fromEntries(Object.entries(sets).map(([name, members]) => [name, [...members]])) },
  ];
};

/** ECMA-262 section 21.4.1.1. */
const LATEST_TIME = 8.64e15;

const datetime = (milliseconds: number): { __extn: { fn: string; arg: string } } | undefined =>
  Math.abs(milliseconds) <= LATEST_TIME ? { __extn: { fn: 'datetime', arg: isoTime(milliseconds) } } : undefined;
const isoTime = rememberLast((milliseconds) => new Date(milliseconds).toISOString());

type EvidenceRecord = Record<string, Record<string, string | number | boolean | string[]>>;

const evidenceRecord = (schema: PolicySchema, evidence: Question['evidence']): Result<EvidenceRecord, string> => {
  if (evidence === undefined) return ok({});
  const shape = schema.evidence.get(evidence.kind);
  if (shape === undefined) return err(`no attestor kind is called ${JSON.stringify(evidence.kind)}`);
  const attributes = shape.table === undefined ? openAttributes(evidence.attributes) : tableAttributes(evidence.attributes, shape.table);
  return attributes.ok ? ok({ [shape.field]: { issuer: evidence.issuer, subject: evidence.subject, ...attributes.value } }) : err(`${evidence.kind} evidence: ${attributes.error}`);
};

/** Cedar evaluates without the schema here, so what the schema promised policies is checked first: every required attribute, every type. */
const tableAttributes = (attributes: Attributes, table: AttributeTable): Result<EvidenceRecord[string], string> => {
  const record: EvidenceRecord[string] = {};
  for (const [name, spec] of Object.entries(table)) {
    const value = Object.hasOwn(attributes, name) ? attributes[name] : undefined;
    if (value === undefined && spec.required) return err(`${name} is missing`);
    if (value === undefined) continue;
    if (!hasType(value, spec.type)) return err(`${name} is not of type ${spec.type}`);
    record[name] = typeof value === 'object' ? [...value] : value;
  }
  return ok(record);
};

const hasType = (value: AttributeValue, type: AttributeSpec['type']): boolean => {
  if (type === 'String') return typeof value === 'string';
  if (type === 'Long') return Number.isSafeInteger(value);
  if (type === 'Bool') return typeof value === 'boolean';
  return Array.isArray(value) && value.every((member) => typeof member === 'string');
};

const openAttributes = (attributes: Attributes): Result<EvidenceRecord[string], string> => {
  const pairs: string[] = [];
  for (const [name, value] of Object.entries(attributes)) {
    // `a=b` with value `c` and `a` with value `b=c` would read the same.
    if (name.includes('=')) return err(`${JSON.stringify(name)} has an equals sign in its name`);
    for (const member of typeof value === 'object' ? value : [value]) pairs.push(`${name}=${String(member)}`);
  }
  return ok({ attributes: pairs });
};
