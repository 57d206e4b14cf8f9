import type { z } from 'zod';
import type { JSONWebKeySet } from 'jose';
import { SECOND } from '../core/duration.ts';
import { parseId, parseSpiffeId } from '../core/ids.ts';
import type { DomainId } from '../core/ids.ts';
import { err, ok } from '../core/result.ts';
import type { Result } from '../core/result.ts';
import type { EntryRow } from '../store/rows.ts';
import type { Catalogues } from './catalogues.ts';
import type { AcceptedFinding, DetailField, DetailType, Domain, Entry, EntryKind, Issuer, MatchRule, Policy, Resource, Signals, Workload } from './entries.ts';
import { timeOf } from './fields.ts';
import { authorityLimits } from './limits.ts';
import { pathText } from './problem.ts';
import { closeOptions, issuerOptions, resourceOptions } from './schemas.ts';
import type { DetailTypeEntry } from './schemas.ts';
import { ACTING_EVENTS, SIGNAL_DEFAULTS } from './signals-schema.ts';
import type { ActingEvent, SignalEffect, storedSignals } from './signals-schema.ts';
import { parseInstancePath } from './template.ts';
import { storedDomain, storedIssuer, storedPolicy, storedResource, storedWorkload } from './stored.ts';

/** A stored entry that this version of Mayfly cannot read: its domain must not be ready. */
export interface DecodeProblem { readonly domainId: DomainId; readonly kind: EntryKind; readonly id: string; readonly name: string; readonly why: string }

export type StoredRow = Pick<EntryRow, 'id' | 'version' | 'kind' | 'domainId' | 'name' | 'body'>;

/** Row bodies to checked, frozen entries, through the same schemas that manifests pass. */
export interface EntryDecoder {
  decode(row: StoredRow): Result<Entry, DecodeProblem>;
  decodeAll(rows: Iterable<StoredRow>): { readonly entries: readonly Entry[]; readonly problems: readonly DecodeProblem[] };
}

export const createEntryDecoder = (catalogues: Catalogues): EntryDecoder => {
  const attestorOptions = closedSchemas(catalogues.attestors);
  const providerOptions = closedSchemas(catalogues.providers);
  const decode: EntryDecoder['decode'] = (row) => {
    const decoded = decoders[row.kind](row, { attestors: attestorOptions, providers: providerOptions });
    return decoded.ok ? ok(Object.freeze(decoded.value)) : err({ domainId: row.domainId, kind: row.kind, id: row.id, name: row.name, why: decoded.error });
  };
  return {
    decode,
    decodeAll(rows) {
      const entries: Entry[] = [];
      const problems: DecodeProblem[] = [];
      for (const row of rows) {
        const decoded = decode(row);
        if (decoded.ok) entries.push(decoded.value);
        else problems.push(decoded.error);
      }
      return { entries, problems };
    },
  };
};

type Closed = ReadonlyMap<string, z.ZodType>;
interface Schemas { readonly attestors: Closed; readonly providers: Closed }
type Decode = (row: StoredRow, schemas: Schemas) => Result<Entry, string>;

const closedSchemas = (kinds: ReadonlyMap<string, { readonly options: z.ZodType }>): Closed =>
  new Map([...kinds].map(([kind, { options }]) => [kind, closeOptions(options).schema]));

const decodeDomain: Decode = (row) => {
  const body = storedDomain.safeParse(row.body);
  const id = parseId('domain', row.id);
  if (!body.success) return err(whyOf(body.error));
  if (id === undefined) return err('its id is not a domain id');
  const { name, stage, spiffe, issuer, limits, owner, accept } = body.data;
  return ok({ kind: 'domain', id, version: row.version, name, stage, spiffe, issuer, limits: authorityLimits(limits), owner, ...accepted(accept) } satisfies Domain);
};

const decodeIssuer: Decode = (row, { attestors }) => {
  const body = storedIssuer.safeParse(row.body);
  const id = parseId('issuer', row.id);
  if (!body.success) return err(whyOf(body.error));
  if (id === undefined) return err('its id is not an issuer id');
  const { name, kind, proves, issuer, audience, algorithms, replay, audiences, approver_clients, jwks, signals, allow_addresses, owner, expires, accept } = body.data;
  const options = parseOptions(attestors, 'attestor', kind, issuerOptions(row.body));
  if (!options.ok) return options;
  return ok({
    kind: 'issuer', id, version: row.version, domainId: row.domainId, name, attestor: kind, proves, issuer, audience,
    algorithms: algorithms && Object.freeze(algorithms), replay,
    audiences: audiences && Object.freeze(audiences.map(({ client_id: clientId, presenters }) => Object.freeze({ clientId, presenters: Object.freeze(presenters) }))), approverClients: approver_clients && Object.freeze(approver_clients),
    jwks: jwks as JSONWebKeySet | undefined,
    ...(signals === undefined ? {} : { signals: signalsOf(signals) }), allowAddresses: Object.freeze(allow_addresses),
    options: options.value, owner, expires: timeOf(expires), ...accepted(accept),
  } satisfies Issuer);
};

const signalsOf = ({ transmitter, audience, jwks_uri: jwksUri, jwks, algorithms, poll, authorization, events }: NonNullable<z.output<typeof storedSignals>>): Signals => Object.freeze({
  transmitter, audience, jwksUri, jwks: jwks, algorithms: Object.freeze(algorithms ?? ['RS256', 'ES256']),
  poll: poll && Object.freeze({ endpoint: poll.endpoint, every: (poll.every ?? 10) * SECOND }), authorized: authorization === 'secret',
  effects: Object.freeze(Object.fromEntries(ACTING_EVENTS.map((name) => [name, events?.[name] ?? SIGNAL_DEFAULTS[name]])) as Record<ActingEvent, SignalEffect>),
});

const decodeResource: Decode = (row, { providers }) => {
  const body = storedResource.safeParse(row.body);
  const id = parseId('resource', row.id);
  if (!body.success) return err(whyOf(body.error));
  if (id === undefined) return err('its id is not a resource id');
  const { audience, provider, scopes, details, served_by, bound, lifetime, owner, expires, accept } = body.data;
  const options = parseOptions(providers, 'provider', provider, resourceOptions(row.body));
  if (!options.ok) return options;
  const types = details === undefined ? ok(undefined) : detailTypes(details);
  if (!types.ok) return types;
  return ok({
    kind: 'resource', id, version: row.version, domainId: row.domainId, audience, provider, scopes: Object.freeze(scopes), ...(types.value === undefined ? {} : { details: types.value }), servedBy: Object.freeze(served_by),
    bound, lifetime, options: options.value, owner, expires: timeOf(expires), ...accepted(accept),
  } satisfies Resource);
};

const decodeWorkload: Decode = (row) => {
  const body = storedWorkload.safeParse(row.body);
  const id = parseId('workload', row.id);
  if (!body.success) return err(whyOf(body.error));
  const { name, spiffe_id, kind, authority, principal, template, match, bound, owner, expires, accept } = body.data;
  const spiffeId = parseSpiffeId(spiffe_id);
  if (id === undefined || spiffeId === undefined) return err('its id or SPIFFE ID has the wrong form');
  return ok({
    kind: 'workload', id, version: row.version, domainId: row.domainId, name, spiffeId, workloadKind: kind, authority, principal: principal && Object.freeze(principal), match: matchRule(match), bound,
    ...(template === undefined ? {} : { template: Object.freeze({ path: Object.freeze(parseInstancePath(template.instance)), maxLive: template.max_live }) }),
    owner, expires: timeOf(expires), ...accepted(accept),
  } satisfies Workload);
};

const decodePolicy: Decode = (row) => {
  const body = storedPolicy.safeParse(row.body);
  const id = parseId('policy', row.id);
  if (!body.success) return err(whyOf(body.error));
  if (id === undefined) return err('its id is not a policy id');
  const { name, cedar, effect, owner, expires, accept } = body.data;
  if (effect === 'permit' && expires === undefined) return err('expires: is missing');
  return ok({
    kind: 'policy', id, version: row.version, domainId: row.domainId, name, cedar, effect, owner,
    expires: expires === undefined ? undefined : timeOf(expires), ...accepted(accept),
  } satisfies Policy);
};

const decoders: Record<EntryKind, Decode> = { domain: decodeDomain, issuer: decodeIssuer, resource: decodeResource, workload: decodeWorkload, policy: decodePolicy };

const parseOptions = (schemas: Closed, what: string, kind: string, written: Record<string, unknown>): Result<unknown, string> => {
  const schema = schemas.get(kind);
  if (schema === undefined) return err(`there is no ${what} kind ${kind}`);
  const parsed = schema.safeParse(written);
  return parsed.success ? ok(freeze(parsed.data)) : err(whyOf(parsed.error));
};

/** Null-prototype: field names come from outside. A field whose comparison is not written out is not guessed at. */
const detailTypes = (written: readonly DetailTypeEntry[]): Result<readonly DetailType[], string> => {
  const types: DetailType[] = [];
  for (const { type, fields } of written) {
    const read = Object.create(null) as Record<string, DetailField>;
    for (const [name, { compare, values, optional = false }] of Object.entries(fields)) {
      if (compare === undefined) return err(`details: field ${name} of ${type} is compared by nothing`);
      read[name] = Object.freeze({ compare, values: values && Object.freeze(values), optional });
    }
    types.push(Object.freeze({ type, fields: Object.freeze(read) }));
  }
  return ok(Object.freeze(types));
};

/** Null-prototype: attribute names come from outside. */
const matchRule = (match: z.output<typeof storedWorkload>['match']): MatchRule => {
  const attributes = Object.create(null) as Record<string, readonly (string | number | boolean)[]>;
  for (const [name, value] of Object.entries(match)) {
    if (name !== 'issuer') attributes[name] = Object.freeze(Array.isArray(value) ? value : [value]);
  }
  return Object.freeze({ issuer: match.issuer, attributes: Object.freeze(attributes) });
};

const accepted = (accept: readonly { readonly rule: string; readonly reason: string; readonly until: string }[] | undefined): { readonly accept?: readonly AcceptedFinding[] } =>
  accept === undefined ? {} : { accept: Object.freeze(accept.map(({ rule, reason, until }) => Object.freeze({ rule, reason, until: timeOf(until) }))) };

const freeze = (value: unknown): unknown => (typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype ? Object.freeze(value) : value);

const whyOf = (error: z.ZodError): string => error.issues.slice(0, 3).map((issue) => `${pathText(issue.path)}: ${issue.message}`).join('; ');
