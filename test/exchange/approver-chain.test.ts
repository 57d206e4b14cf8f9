import { expect, test } from '@jest/globals';
import type { Frozen } from '../../src/authority/approval.ts';
import type { LeaseId, PersonUrn, SpiffeId } from '../../src/core/ids.ts';
import { HOUR, MINUTE } from '../../src/core/duration.ts';
import { mayApprove } from '../../src/exchange/approver.ts';
import { evidenceFacts } from '../../src/exchange/facts.ts';
import { NOW, PEOPLE_ID, api, deployer, domain, evidence, linkOf, policy, session, viewOf } from './world.ts';

const DEV = { iss: 'https://sts.acme.example/dev', sub: 'spiffe://dev.acme.example/agents/planner' as SpiffeId, stage: 'development' } as const;
const frozen: Frozen = {
  approval: 'apr_1' as never, domain: domain.id, session: session.id, place: { kind: 'first' }, workload: deployer.id, actor: deployer.spiffeId, issuer: 'iss_1' as never, key: 'k', chain: [DEV, linkOf()], crossing: 'lse_1' as LeaseId,
  person: null, login: null, parties: [], evidence: evidenceFacts(evidence()), shownAt: NOW - MINUTE, showedEvidence: true, opensTask: false, model: 'delegated', principal: 'urn:mayfly:dev:person:corp:alice', startedAt: NOW - HOUR, freshAt: NOW - 10 * MINUTE,
  purpose: null, held: null, path: ['domain:dom_1'], asked: { target: api.audience, scopes: ['deploy:write'], ceiling: null, details: null, tokenType: null, handOnTo: null, clientId: null }, forHop: false, lifetime: 300,
  granted: [], needs: [{ audience: api.audience, scope: 'deploy:write', names: ['leads'] }], byPrincipal: false, policies: [], registryVersion: 1, askedAt: NOW - MINUTE, expiresAt: NOW + HOUR,
};
/** Anybody of the leads may, unless a rule says otherwise. */
const agreed = (rule: string, change: Partial<Frozen> = {}): string => {
  const view = viewOf({ policies: [
    policy('permit(principal in Group::"leads", action == Action::"approve", resource);'), policy(`forbid(principal, action == Action::"approve", resource) when { ${rule} };`),
  ] });
  return mayApprove(view, { ...frozen, ...change }, { person: 'urn:mayfly:prod:person:corp:bob' as PersonUrn, iss: 'https://idp', sub: 'bob', issuer: 'corp', issuerId: PEOPLE_ID, groups: ['leads'] }, 'leads', NOW)?.code ?? 'may';
};

test.each<{ readonly name: string; readonly rule: string; readonly change: Partial<Frozen> }>([
  { name: 'the stages it came through', rule: 'context.chain.stages.contains("development")', change: { chain: [linkOf()] } },
  { name: 'the domains it came through', rule: 'context.chain.domains.contains("https://sts.acme.example/dev")', change: { chain: [linkOf()] } },
  { name: 'how long ago what the session rests on was shown', rule: 'context.session has fresh_seconds && context.session.fresh_seconds > 599', change: { freshAt: NOW - 10 * MINUTE + 1 } },
  { name: 'that it need not be fresh', rule: 'context.session has fresh_seconds', change: { freshAt: null } },
])('who approves is asked about $name', ({ rule, change }) => {
  expect([agreed(rule), agreed(rule, change)]).toEqual(['approver_denied', 'may']);
});
