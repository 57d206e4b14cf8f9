import { SYSTEM_DOMAIN } from '../core/reserved.ts';
import type { JsonObject } from '../core/json.ts';
import type { Discriminator } from '../attestation/attestor.ts';
import { checkCidr } from '../outbound/address.ts';
import type { Domain, Issuer } from './entries.ts';
import { EXAMPLES } from './fields.ts';
import { issuerUrlProblem } from './issuer-url.ts';
import { nearest, problemsOf, wordIssue } from './problem.ts';
import type { Report } from './problem.ts';
import type { AttestorPort } from './catalogues.ts';
import type { Scene, Settle } from './scene.ts';
import { closeOptions, issuerOptions } from './schemas.ts';
import type { IssuerEntry } from './schemas.ts';
import { checkApplications, domainOf, nameOf } from './settle-applications.ts';
import { checkWorkloadExists, settleCommon, settleSet } from './settle-common.ts';
import { settleSignals } from './settle-signals.ts';

/** A trusted issuer's body: its kind known, its URL one that platform can have, its audience settled. */
export const settleIssuer: Settle<IssuerEntry> = (entry, domain, scene, report) => {
  if (domain.name === SYSTEM_DOMAIN && entry.proves !== 'admins') report('proves', `the system domain has no ${entry.proves}`, 'write proves: admins, or register the issuer in another domain');
  checkPeople(entry, domain, scene, report);
  checkDomains(entry, report);
  const common = settleCommon(entry, scene.now, report);
  const allowAddresses = settleSet(entry.allow_addresses, 'allow_addresses', report);
  checkAddresses(entry.allow_addresses, report);
  const attestor = scene.deps.attestors.get(entry.kind);
  if (attestor === undefined) {
    const meant = nearest(entry.kind, scene.deps.attestors.keys());
    report('kind', `there is no attestor kind "${entry.kind}"`, meant === undefined ? `choose one of ${[...scene.deps.attestors.keys()].join(', ')}` : `did you mean "${meant}"?`);
    return undefined;
  }
  const issuer = settleUrl(entry, attestor, domain, scene, report);
  const audience = entry.audience ?? (entry.proves === 'admins' ? `${domain.issuer}/admin` : domain.issuer);
  if (entry.audience !== undefined && audience === issuer) report('audience', 'is the issuer itself, which its tokens for anybody may carry', `remove this line to use ${domain.issuer}, or choose a value of your own`);
  const options = issuerOptions(entry);
  checkOptions(attestor, options, report);
  const signals = settleSignals(entry, issuer, domain, scene, report);
  if (issuer === undefined) return undefined;
  return {
    name: entry.name, kind: entry.kind, proves: entry.proves, issuer, audience, allow_addresses: allowAddresses, ...common,
    ...(entry.algorithms === undefined ? {} : { algorithms: settleSet(entry.algorithms, 'algorithms', report) }),
    ...(entry.replay === undefined ? {} : { replay: entry.replay }),
    ...(entry.audiences === undefined ? {} : { audiences: settleAudiences(entry.audiences) }),
    ...(entry.approver_clients === undefined ? {} : { approver_clients: settleSet(entry.approver_clients, 'approver_clients', report) }),
    ...(entry.jwks === undefined ? {} : { jwks: entry.jwks as unknown as JsonObject }),
    ...signals,
    ...(options as JsonObject),
  };
};

/** Who a person is comes from OpenID providers alone; which applications speak for them, and to whom, has to be listed (design section 5, People). */
const checkPeople = (entry: IssuerEntry, domain: Domain, scene: Scene, report: Report): void => {
  if (entry.proves !== 'people') {
    for (const field of ['audiences', 'approver_clients'] as const) if (entry[field] !== undefined) report(field, `is for issuers that prove people, and this one proves ${entry.proves}`, 'remove it, or write proves: people');
    return;
  }
  if (entry.kind !== PEOPLE_KIND) report('kind', `evidence of kind ${entry.kind} tells of workloads, not of people`, `use kind: ${PEOPLE_KIND}`);
  if (entry.audience !== undefined) report('audience', 'is fixed for issuers that prove people: the issuer URL of the domain for access tokens, the applications listed for ID tokens', 'remove this line, and list the applications under audiences');
  if (entry.audiences === undefined && entry.approver_clients === undefined) report('audiences', 'is missing: no token of this issuer would count', 'list the applications whose tokens count and the workloads that may act with them: [{ client_id: my-app, presenters: [agents/coder] }]');
  // An agent that holds a person's token must not be able to approve with it.
  for (const [index, clientId] of (entry.approver_clients ?? []).entries()) {
    if (entry.audiences?.some((other) => other.client_id === clientId) === true) report(`approver_clients[${index}]`, `${clientId} is listed under audiences: the workloads that present its tokens could approve with them`, 'register an application of its own for approvers');
  }
  for (const [index, { client_id: clientId, presenters }] of (entry.audiences ?? []).entries()) {
    if (entry.audiences?.findIndex((other) => other.client_id === clientId) !== index) report(`audiences[${index}].client_id`, `${clientId} is listed twice`, 'put all presenters of an application into one entry');
    settleSet(presenters, `audiences[${index}].presenters`, report);
    for (const [at, name] of presenters.entries()) checkWorkloadExists(name, domain, scene, `audiences[${index}].presenters[${at}]`, report);
  }
};

/** Chains come from other Mayfly domains alone, and those prove nothing else (design section 3, invariant 4). */
const checkDomains = (entry: IssuerEntry, report: Report): void => {
  if (entry.kind === DOMAINS_KIND && entry.audience !== undefined) report('audience', 'is fixed for other trust domains: the issuer URL of this one', 'remove this line');
  if (entry.kind === DOMAINS_KIND && entry.replay !== undefined) report('replay', 'is fixed for other trust domains: a chain comes over once with each token', 'remove this line');
  if ((entry.proves === 'domains') === (entry.kind === DOMAINS_KIND)) return;
  if (entry.kind === DOMAINS_KIND) report('proves', `another trust domain proves chains of actors, not ${entry.proves}`, 'write proves: domains');
  else report('kind', `evidence of kind ${entry.kind} does not come from a trust domain of Mayfly`, `use kind: ${DOMAINS_KIND}, or another proves`);
};
const DOMAINS_KIND = 'mayfly';

/** The one kind whose tokens are those of an OpenID provider, with the mapping of claims as data. */
const PEOPLE_KIND = 'oidc';

const settleAudiences = (audiences: NonNullable<IssuerEntry['audiences']>): JsonObject[] =>
  audiences.map(({ client_id: clientId, presenters }) => ({ client_id: clientId, presenters: [...new Set(presenters)].sort() })).sort((a, b) => (a.client_id < b.client_id ? -1 : 1));

/**
 * A token must lead to at most one entry: audiences belong to one domain and purpose, and entries of one `iss` are told
 * apart by a claim (not by their audiences: the entry is chosen before the audience is looked at).
 */
export const checkIssuerConflicts = (issuer: Issuer, scene: Scene, report: Report): void => {
  checkApplications(issuer, scene, report);
  let isTaken = false;
  for (const [key, other] of scene.issuers) {
    if (other.id === issuer.id) continue;
    const sameDoor = other.domainId === issuer.domainId && other.proves === issuer.proves;
    // A person's access token has a typ of its own, and so has a chain that comes from another domain: they share their audience with
    // the evidence of workloads.
    const apartByType = other.domainId === issuer.domainId && [issuer, other].some(({ proves }) => proves === 'people' || proves === 'domains') && [issuer, other].every(({ proves }) => proves !== 'admins');
    if (other.audience === issuer.audience && !sameDoor && !apartByType) {
      const isKnown = scene.written.has(key) || scene.mayKnow(domainOf(other, scene));
      if (isKnown) report('audience', `${issuer.audience} is already the audience of issuer ${nameOf(other, scene)}`, 'choose another audience: each belongs to one domain and one purpose');
      else isTaken = true;
    } else if (sameDoor && other.issuer === issuer.issuer && !areApart(discriminatorOf(issuer, scene), discriminatorOf(other, scene))) {
      report('', `one token could be accepted by this entry and by issuer ${nameOf(other, scene)}`, 'remove one of them, or let a claim tell them apart (such as different organization_id)');
    }
  }
  // Once, however many there are: neither whose nor how many is for everybody to know (design section 3, invariant 11).
  if (isTaken) report('audience', `${issuer.audience} is not free: in the whole installation an audience belongs to one domain and one purpose`, 'choose another audience, such as a URL of your own; if this one is yours, ask an admin of the installation who has it');
  const own = [...scene.domains.values()].find((domain) => issuer.audience === domain.issuer || issuer.audience.startsWith(`${domain.issuer}/`));
  if (own === undefined) return;
  const fitting = own.id === issuer.domainId && issuer.audience === (issuer.proves === 'admins' ? `${own.issuer}/admin` : own.issuer);
  if (!fitting) report('audience', `${issuer.audience} is reserved for trust domain ${own.name}`, 'remove this line to use the default, or choose a value of your own');
};

const settleUrl = (entry: IssuerEntry, attestor: AttestorPort, domain: Domain, scene: Scene, report: Report): string | undefined => {
  const issuer = entry.issuer ?? attestor.defaultIssuer;
  if (issuer === undefined) {
    report('issuer', 'is missing', `write the exact \`iss\` of its tokens: attestor kind ${entry.kind} has no default`);
    return undefined;
  }
  const problem = issuerUrlProblem(issuer, domain.stage);
  const isOurs = issuer === scene.deps.externalUrl || issuer.startsWith(`${scene.deps.externalUrl}/`);
  const refused = attestor.issuerAllowed(issuer);
  if (problem !== undefined) report('issuer', problem.message, problem.mend);
  else if (entry.kind === DOMAINS_KIND && issuer === domain.issuer) report('issuer', 'is this trust domain itself', 'name the issuer URL of another one');
  else if (isOurs && !(entry.kind === DOMAINS_KIND && isDomain(issuer, scene))) report('issuer', 'is this installation itself, whose tokens are no evidence', 'name the issuer of the platform the workload runs on');
  else if (refused !== undefined) report('issuer', refused, `write an issuer URL of ${entry.kind}, or use another kind`);
  return issuer;
};

/** Of this installation, other than the one that issues nothing. */
const isDomain = (issuer: string, scene: Scene): boolean => [...scene.domains.values()].some((domain) => domain.issuer === issuer && domain.name !== SYSTEM_DOMAIN);

const checkOptions = (attestor: AttestorPort, options: Record<string, unknown>, report: Report): void => {
  const { schema, known } = closeOptions(attestor.options);
  const parsed = schema.safeParse(options, { error: wordIssue });
  if (parsed.success) return;
  for (const { path, message, mend } of problemsOf(parsed.error.issues, '', [...known, ...ISSUER_FIELD_NAMES], EXAMPLES)) report(path, message, mend);
};

const ISSUER_FIELD_NAMES = ['algorithms', 'replay', 'jwks', 'signals', 'allow_addresses', 'audience', 'issuer', 'proves', 'accept', 'expires', 'owner'];

/** Judged by who will hold calls to it: what opens nothing must not be registered as if it did. */
const checkAddresses = (ranges: readonly string[], report: Report): void => {
  for (const [index, range] of ranges.entries()) {
    const problem = checkCidr(range);
    if (problem !== undefined) report(`allow_addresses[${index}]`, problem.message, problem.mend);
  }
};

const discriminatorOf = (issuer: Issuer, scene: Scene): Discriminator | undefined => scene.deps.attestors.get(issuer.attestor)?.discriminator(issuer.options);

/** Only different values of one claim exclude each other; two claims can stand in one token. */
const areApart = (a: Discriminator | undefined, b: Discriminator | undefined): boolean => a !== undefined && b !== undefined && a.claim === b.claim && a.value !== b.value;
