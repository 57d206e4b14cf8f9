import { SYSTEM_DOMAIN } from '../core/reserved.ts';
import { isObject } from '../core/json.ts';
import type { JsonObject } from '../core/json.ts';
import type { AttributeSpec, AttributeTable } from '../attestation/attributes.ts';
import { parseSpiffeId } from '../core/ids.ts';
import type { Domain, Issuer } from './entries.ts';
import { isGlob } from './glob.ts';
import { nearest } from './problem.ts';
import type { Report } from './problem.ts';
import { brokenKey, namesIn, rowKey } from './scene.ts';
import type { Scene, Settle } from './scene.ts';
import type { WorkloadEntry } from './schemas.ts';
import { settleCommon } from './settle-common.ts';
import { namedBy, parseInstancePath } from './template.ts';

type Value = string | number | boolean;

/** A workload's body: its SPIFFE ID settled, its rule one that evidence of its issuer can satisfy and that identifies. */
export const settleWorkload: Settle<WorkloadEntry> = (entry, domain, scene, report) => {
  if (domain.name === SYSTEM_DOMAIN) report('domain', 'the system domain has no workloads', 'register the workload in another domain');
  checkPrincipal(entry, domain, scene, report);
  const common = settleCommon(entry, scene.now, report);
  const spiffeId = parseSpiffeId(`spiffe://${domain.spiffe}/${entry.name}`);
  if (spiffeId === undefined) report('name', `"${entry.name}" cannot be part of a SPIFFE ID`, 'use letters, digits, dots, hyphens, underscores and single slashes, such as ci/deployer');
  const { issuer: issuerName, ...written } = entry.match;
  const issuer = findIssuer(issuerName, domain, scene, report);
  const table = issuer === undefined ? undefined : scene.deps.attestors.get(issuer.attestor)?.attributeTable(issuer.options);
  if (issuer !== undefined && table !== undefined) checkRule(written, table, issuer, report);
  if (entry.template !== undefined && issuer !== undefined && table !== undefined) checkInstancePath(entry.template.instance, table, issuer, report);
  checkStaysTemplate(entry, scene.rows.get(rowKey('workload', domain.id, entry.name))?.body, report);
  if (spiffeId === undefined) return undefined;
  return {
    name: entry.name, spiffe_id: spiffeId, kind: entry.kind, authority: entry.authority, bound: entry.bound, ...common,
    ...(entry.principal === undefined ? {} : { principal: entry.principal }),
    ...(entry.template === undefined ? {} : { template: entry.template }),
    match: { issuer: issuerName, ...Object.fromEntries(Object.entries(written).map(([name, value]) => [name, canonicalValues(value)])) } as JsonObject,
  };
};

/** Somebody is accountable for whatever acts on its own; in the other models the run's owner or the person acted for is. */
const checkPrincipal = ({ authority, principal, template }: WorkloadEntry, domain: Domain, scene: Scene, report: Report): void => {
  if (template !== undefined) {
    if (principal !== undefined) report('principal', 'is for workloads that open tasks, and instances of a template only join them', 'remove it');
    return;
  }
  if (authority !== 'autonomous') {
    if (principal !== undefined) report('principal', `is for autonomous workloads, and this one is ${authority}`, 'remove it, or write authority: autonomous');
    return;
  }
  if (principal === undefined) {
    report('principal', 'is missing: an autonomous workload needs a person who is accountable for it', 'name the person by issuer and sub: { issuer: corp, sub: 00u1a2b3 }');
    return;
  }
  const issuer = scene.issuers.get(rowKey('issuer', domain.id, principal.issuer));
  if (issuer === undefined && !scene.broken.has(brokenKey('issuer', domain.name, principal.issuer))) {
    report('principal.issuer', `there is no issuer ${principal.issuer} in domain ${domain.name}`, 'add it under issuers with proves: people, or name another');
  } else if (issuer !== undefined && issuer.proves !== 'people') report('principal.issuer', `issuer ${principal.issuer} proves ${issuer.proves}, not people`, 'name an issuer that proves people');
};

const findIssuer = (name: string, domain: Domain, scene: Scene, report: Report): Issuer | undefined => {
  const issuer = scene.issuers.get(rowKey('issuer', domain.id, name));
  if (issuer === undefined && !scene.broken.has(brokenKey('issuer', domain.name, name))) {
    const meant = nearest(name, namesIn(scene.issuers.keys(), 'issuer', domain.id));
    report('match.issuer', `there is no issuer ${name} in domain ${domain.name}`, meant === undefined ? 'add it under issuers, or name another' : `did you mean "${meant}"?`);
  }
  if (issuer !== undefined && issuer.proves !== 'workloads') {
    report('match.issuer', `issuer ${name} proves ${issuer.proves}, not workloads`, 'name an issuer that proves workloads');
    return undefined;
  }
  return issuer;
};

/** Every attribute known, typed and satisfiable, and at least one immutable one with exact values: only those identify. */
export const checkRule = (written: Readonly<Record<string, Value | readonly Value[]>>, table: AttributeTable, issuer: Issuer, report: Report): void => {
  for (const [name, value] of Object.entries(written)) {
    const spec = Object.hasOwn(table, name) ? table[name] : undefined;
    if (spec === undefined) {
      const meant = nearest(name, Object.keys(table));
      report(`match.${name}`, `evidence of issuer ${issuer.name} (${issuer.attestor}) has no attribute ${name}`, meant === undefined ? `choose among ${Object.keys(table).slice(0, 12).join(', ')}` : `did you mean "${meant}"?`);
      continue;
    }
    for (const member of valuesOf(value)) checkValue(name, member, spec, report);
  }
  const identifies = Object.entries(written).some(([name, value]) => Object.hasOwn(table, name) && table[name]?.immutable === true && !valuesOf(value).some(isGlob));
  if (identifies) return;
  const immutable = Object.keys(table).filter((name) => table[name]?.immutable === true);
  report('match', 'names nothing that stays with one workload for good', immutable.length === 0 ? `mark an attribute of issuer ${issuer.name} as immutable` : `add an immutable attribute with an exact value: ${immutable.slice(0, 6).join(', ')}`);
};

/** What was revoked is known by its name and id: under other ones it would be somebody new. */
const checkStaysTemplate = ({ template }: WorkloadEntry, stored: JsonObject | undefined, report: Report): void => {
  if (stored === undefined) return;
  const before = isObject(stored['template']) ? stored['template']['instance'] : undefined;
  if ((before === undefined) !== (template === undefined)) report('template', before === undefined ? 'cannot be added to a workload that is registered' : 'cannot be taken from a template', 'end this entry first, or register another under its own name');
  else if (before !== template?.instance) report('template.instance', 'is fixed once stored: instances that are revoked would come back under new names', 'keep it, or register another template');
};

/** The name an instance goes by must stay with it for good, and be told from every other's. */
export const checkInstancePath = (written: string, table: AttributeTable, issuer: Issuer, report: Report): void => {
  const names = namedBy({ path: parseInstancePath(written), maxLive: 0 });
  const fit = Object.keys(table).filter((name) => table[name]?.immutable === true && table[name]?.type === 'String');
  const choose = fit.length === 0 ? `mark a text attribute of issuer ${issuer.name} as immutable` : `choose among ${fit.slice(0, 12).map((name) => `{${name}}`).join(', ')}`;
  if (names.length === 0) report('template.instance', 'gives every instance the same name', choose);
  for (const name of names) {
    const spec = Object.hasOwn(table, name) ? table[name] : undefined;
    if (spec === undefined) report('template.instance', `evidence of issuer ${issuer.name} (${issuer.attestor}) has no attribute ${name}`, choose);
    else if (!spec.immutable || spec.type !== 'String') report('template.instance', `${name} ${spec.immutable ? 'is not text' : 'can be given to somebody else'}`, choose);
  }
};

const checkValue = (name: string, value: Value, spec: AttributeSpec, report: Report): void => {
  const wanted = WANTED[spec.type];
  if (typeof value !== wanted.type) report(`match.${name}`, `must be ${wanted.words}, not ${typeof value === 'string' ? 'text' : `a ${typeof value}`}`, typeof value === 'string' ? 'remove the quotes' : `write it in quotes: "${value}"`);
  else if (spec.type === 'Set<String>' && isGlob(value)) report(`match.${name}`, 'a list cannot be matched with "*"', 'write the member that must be in the list');
  else if (typeof value === 'number' && !Number.isSafeInteger(value)) report(`match.${name}`, 'is not a whole number', 'write a whole number');
};

const WANTED: Record<AttributeSpec['type'], { readonly type: 'string' | 'number' | 'boolean'; readonly words: string }> = {
  String: { type: 'string', words: 'text' },
  'Set<String>': { type: 'string', words: 'text' },
  Long: { type: 'number', words: 'a number' },
  Bool: { type: 'boolean', words: 'true or false' },
};

const valuesOf = (value: Value | readonly Value[]): readonly Value[] => (typeof value === 'object' ? value : [value]);

/** One value as itself, several sorted: the order of alternatives says nothing. */
const canonicalValues = (value: Value | readonly Value[]): Value | readonly Value[] => {
  const values = [...new Set(valuesOf(value))].sort((a, b) => (String(a) < String(b) ? -1 : 1));
  const [only] = values;
  return values.length === 1 && only !== undefined ? only : values;
};
