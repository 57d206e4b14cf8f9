import type { DomainId } from '../core/ids.ts';
import { canonicalJson, isObject } from '../core/json.ts';
import { issuerUrlProblem } from './issuer-url.ts';
import { reporterFor } from './problem.ts';
import type { Report } from './problem.ts';
import { keyOfRow } from './scene.ts';
import type { ManyKind } from './scene.ts';
import type { StoredRow } from './decode.ts';
import { checkProviderRules } from './settle-resource.ts';
import { urlFaults } from './settle-signals.ts';
import { checkInstancePath, checkRule } from './settle-workload.ts';
import type { Work } from './work.ts';

/**
 * Stored entries that the manifest does not contain, but whose ground it moves: a domain's stage rules out loopback
 * issuers and custom endpoints, and a changed issuer may no longer have the attributes that workloads match on.
 */
export const recheckStored = async (work: Work): Promise<void> => {
  for (const draft of work.drafts.values()) {
    if (draft.kind !== 'domain' && draft.kind !== 'issuer') continue;
    const stored = work.scene.rows.get(keyOfRow({ ...draft, version: 0 }));
    if (stored === undefined || canonicalJson(stored.body) === canonicalJson(draft.body)) continue;
    if (draft.kind === 'issuer') await recheckWorkloads(work, draft.domainId, draft.name);
    else if (stored.body['stage'] !== draft.body['stage']) await recheckStage(work, draft.name);
  }
};

const recheckStage = async (work: Work, domainName: string): Promise<void> => {
  const domain = work.scene.domains.get(domainName);
  if (domain === undefined) return;
  for (const [key, issuer] of work.scene.issuers) {
    if (issuer.domainId !== domain.id || work.drafts.has(key)) continue;
    const problem = issuerUrlProblem(issuer.issuer, domain.stage);
    const report = reportStored(work, 'issuer', domainName, issuer.name);
    if (problem !== undefined) report('issuer', problem.message, problem.mend);
    const elsewhere = issuer.signals === undefined ? undefined : issuerUrlProblem(issuer.signals.transmitter, domain.stage);
    if (elsewhere !== undefined) report('signals.transmitter', elsewhere.message, elsewhere.mend);
    for (const [field, why] of urlFaults(issuer.signals ?? {}, domain.stage)) report(`signals.${field}`, why, 'change this issuer first');
  }
  for await (const row of untouched(work, 'resource', domain.id)) {
    const resource = work.decode(row);
    const provider = resource?.kind === 'resource' ? work.deps.providers.get(resource.provider) : undefined;
    if (resource?.kind !== 'resource' || provider === undefined) continue;
    checkProviderRules(resource, provider, domain, reportStored(work, 'resource', domainName, resource.audience));
  }
};

const recheckWorkloads = async (work: Work, domainId: DomainId, issuerName: string): Promise<void> => {
  const issuer = [...work.scene.issuers.values()].find((each) => each.domainId === domainId && each.name === issuerName);
  const table = issuer === undefined ? undefined : work.deps.attestors.get(issuer.attestor)?.attributeTable(issuer.options);
  if (issuer === undefined || table === undefined) return;
  for await (const row of untouched(work, 'workload', domainId)) {
    const workload = issuerOf(row) === issuerName ? work.decode(row) : undefined;
    if (workload?.kind !== 'workload') continue;
    const report = reportStored(work, 'workload', work.domainNames.get(issuer.domainId) ?? '', row.name);
    if (issuer.proves !== 'workloads') report('match.issuer', `issuer ${issuer.name} would prove ${issuer.proves}, not workloads`, 'end or change this workload first');
    else {
      checkRule(workload.match.attributes, table, issuer, report);
      const template = isObject(row.body['template']) ? row.body['template']['instance'] : undefined;
      if (typeof template === 'string') checkInstancePath(template, table, issuer, report);
    }
  }
};

/** Stored entries of a domain that the plan neither writes nor ends. */
async function* untouched(work: Work, kind: ManyKind, domainId: DomainId): AsyncGenerator<StoredRow> {
  for await (const page of work.view.pages(kind, domainId)) {
    for (const row of page) {
      const key = keyOfRow(row);
      if (!work.drafts.has(key) && !work.gone.has(key)) yield row;
    }
  }
}

const issuerOf = (row: StoredRow): unknown => (isObject(row.body['match']) ? row.body['match']['issuer'] : undefined);

const reportStored = (work: Work, kind: string, domain: string, name: string): Report => reporterFor(work.problems, `registry: ${kind} ${domain}/${name}`);
