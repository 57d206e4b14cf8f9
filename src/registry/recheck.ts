import { canonicalJson, isObject } from '../core/json.ts';
import { issuerUrlProblem } from './issuer-url.ts';
import { reporterFor } from './problem.ts';
import type { Report } from './problem.ts';
import { keyOfRow } from './scene.ts';
import type { StoredRow } from './decode.ts';
import { checkProviderRules } from './settle-resource.ts';
import { checkRule } from './settle-workload.ts';
import type { Work } from './work.ts';

/**
 * Stored entries that the manifest does not contain, but whose ground it moves: a domain's stage rules out loopback
 * issuers and custom endpoints, and a changed issuer may no longer have the attributes that workloads match on.
 */
export const recheckStored = (work: Work): void => {
  for (const draft of work.drafts.values()) {
    const stored = work.scene.rows.get(keyOfRow({ ...draft, version: 0 }));
    if (stored === undefined || canonicalJson(stored.body) === canonicalJson(draft.body)) continue;
    if (draft.kind === 'domain' && stored.body['stage'] !== draft.body['stage']) recheckStage(work, draft.name);
    if (draft.kind === 'issuer') recheckWorkloads(work, draft.domainId, draft.name);
  }
};

const recheckStage = (work: Work, domainName: string): void => {
  const domain = work.scene.domains.get(domainName);
  if (domain === undefined) return;
  for (const [key, issuer] of work.scene.issuers) {
    if (issuer.domainId !== domain.id || work.drafts.has(key)) continue;
    const problem = issuerUrlProblem(issuer.issuer, domain.stage);
    if (problem !== undefined) reportStored(work, 'issuer', domainName, issuer.name)('issuer', problem.message, problem.mend);
  }
  for (const [key, resource] of work.scene.resources) {
    const provider = work.deps.providers.get(resource.provider);
    if (resource.domainId !== domain.id || work.drafts.has(key) || provider === undefined) continue;
    checkProviderRules(resource, provider, domain, reportStored(work, 'resource', domainName, resource.audience));
  }
};

const recheckWorkloads = (work: Work, domainId: string, issuerName: string): void => {
  const issuer = [...work.scene.issuers.values()].find((each) => each.domainId === domainId && each.name === issuerName);
  const table = issuer === undefined ? undefined : work.deps.attestors.get(issuer.attestor)?.attributeTable(issuer.options);
  if (issuer === undefined || table === undefined) return;
  const ending = new Set(work.ending);
  for (const [key, row] of work.scene.rows) {
    if (row.kind !== 'workload' || row.domainId !== domainId || issuerOf(row) !== issuerName || work.drafts.has(key) || ending.has(row)) continue;
    const workload = work.decode(row);
    if (workload?.kind !== 'workload') continue;
    const report = reportStored(work, 'workload', work.domainNames.get(issuer.domainId) ?? '', row.name);
    if (issuer.proves !== 'workloads') report('match.issuer', `issuer ${issuer.name} would prove ${issuer.proves}, not workloads`, 'end or change this workload first');
    else checkRule(workload.match.attributes, table, issuer, report);
  }
};

const issuerOf = (row: StoredRow): unknown => (isObject(row.body['match']) ? row.body['match']['issuer'] : undefined);

const reportStored = (work: Work, kind: string, domain: string, name: string): Report => reporterFor(work.problems, `registry: ${kind} ${domain}/${name}`);
