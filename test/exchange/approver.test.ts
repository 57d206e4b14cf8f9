import { describe, expect, test } from '@jest/globals';
import { personUrn } from '../../src/attestation/person.ts';
import type { Frozen } from '../../src/authority/approval.ts';
import { HOUR, MINUTE } from '../../src/core/duration.ts';
import type { IssuerId } from '../../src/core/ids.ts';
import { approverRevoked, judgeVotes } from '../../src/exchange/approver.ts';
import type { Domain, Entry, Issuer } from '../../src/registry/entries.ts';
import { createRevocations } from '../../src/revocation/revocations.ts';
import type { DomainView } from '../../src/snapshot/domain-view.ts';
import type { ApprovalVote } from '../../src/store/approval-rows.ts';
import type { RevocationRow, Target } from '../../src/store/rows.ts';
import { API, FAR, NOW, OWNER, PEOPLE_ID, deployer, domain, evidence, linkOf, policy, viewOf } from './world.ts';

const IDP = 'https://login.acme.example';
const AGAIN_ID = `iss_${'6'.repeat(32)}` as IssuerId;
const ADMINS_ID = `iss_${'8'.repeat(32)}` as IssuerId;
const issuer = (change: Partial<Issuer> = {}): Issuer => ({
  kind: 'issuer', id: PEOPLE_ID, version: 1, owner: OWNER, domainId: domain.id, name: 'corp', attestor: 'oidc', proves: 'people', issuer: IDP, audience: 'x', algorithms: undefined, replay: undefined,
  approverClients: ['approvals'], jwks: undefined, allowAddresses: [], options: {}, expires: FAR, ...change,
});
const admins = issuer({ id: ADMINS_ID, name: 'corp-admins', proves: 'admins', approverClients: undefined });
const elsewhere = issuer({ id: `iss_${'7'.repeat(32)}` as IssuerId, name: 'partner', issuer: 'https://login.partner.example' });

const leads = policy(`permit(principal in Group::"leads", action == Action::"approve", resource in Resource::"${API}");`);
const viewWith = (issuers: readonly Issuer[], rules = [leads]): DomainView => {
  const view = viewOf({ policies: rules });
  const entries: readonly Exclude<Entry, Domain>[] = issuers;
  (view as unknown as { apply(rows: readonly object[], keys: readonly never[]): void }).apply(entries.map((entry) => ({ row: { id: entry.id, version: 1, seq: 1, kind: 'issuer', domainId: domain.id, name: 'name' in entry ? entry.name : '', ended: false }, entry, problem: undefined })), []);
  return view;
};
const ALL = [issuer(), admins, elsewhere];

const AT = NOW - MINUTE;
const urn = (entry: string, sub = 'bob') => personUrn(domain.name, entry, sub);
const vote = (change: Partial<ApprovalVote> = {}): ApprovalVote => ({ name: 'leads', person: urn('corp'), issuer: 'corp', issuerId: PEOPLE_ID, iss: IDP, sub: 'bob', groups: ['leads'], at: AT, ...change });
const frozen = {
  workload: deployer.id, actor: deployer.spiffeId, chain: [linkOf()], evidence: { kind: 'github-actions', issuer: 'github', subject: 'x', attributes: evidence().attributes }, model: 'bounded', principal: OWNER, startedAt: NOW - HOUR,
  purpose: null, lifetime: 300, asked: { handOnTo: null }, needs: [{ audience: API, scope: 'deploy:read', names: ['leads'] }],
} as unknown as Frozen;

type Taken = Pick<RevocationRow, 'target'> & Partial<RevocationRow>;
const snapshotOf = (...rows: readonly Taken[]) => {
  const revocations = createRevocations();
  for (const [index, row] of rows.entries()) revocations.add({ seq: index + 1, domainId: domain.id, effect: 'revoked', at: NOW, by: 'x', reason: 'x', enabledSeq: null, enabledAt: null, enabledBy: null, purgeAfter: null, ...row });
  return { version: 99, blockedBy: (path: readonly Target[], began: number) => revocations.find(path, began), revokedSince: (target: Target, since: number) => revocations.endsLogin(target, since) };
};
const judge = (setting: { readonly view?: DomainView; readonly votes?: readonly ApprovalVote[]; readonly revoked?: readonly Taken[] } = {}): string => {
  const judged = judgeVotes(setting.view ?? viewWith(ALL), snapshotOf(...setting.revoked ?? []), frozen, setting.votes ?? [vote()], NOW);
  return judged.ok ? 'counts' : judged.error.code;
};
const lifted = { enabledSeq: 50, enabledAt: NOW, enabledBy: 'x' };

describe('a word somebody gave', () => {
  test('counts, and tells all it rests on for the commit to ask the same', () => {
    expect(judgeVotes(viewWith(ALL), snapshotOf(), frozen, [vote()], NOW)).toEqual({ ok: true, value: [{ at: AT, targets: [`domain:${domain.id}`, `issuer:${PEOPLE_ID}`, `person:${urn('corp')}`, `person:${urn('corp-admins')}`] }] });
  });

  test.each<{ readonly name: string; readonly view: DomainView; readonly answer: string }>([
    { name: 'is there', view: viewWith(ALL), answer: 'counts' },
    { name: 'is gone', view: viewWith([admins, elsewhere]), answer: 'approval_changed' },
    { name: 'is over', view: viewWith([issuer({ expires: NOW }), admins]), answer: 'approval_changed' },
    { name: 'is about to be over', view: viewWith([issuer({ expires: NOW + 1 }), admins]), answer: 'counts' },
    { name: 'was changed since', view: viewWith([issuer({ version: 2, approverClients: ['approvals', 'more'] }), admins]), answer: 'counts' },
    { name: 'was registered again under its name, for the same issuer', view: viewWith([issuer({ id: AGAIN_ID }), admins]), answer: 'approval_changed' },
    { name: 'is of another issuer by now', view: viewWith([issuer({ issuer: 'https://login.other.example' }), admins]), answer: 'approval_changed' },
    { name: 'proves workloads by now', view: viewWith([issuer({ proves: 'workloads' }), admins]), answer: 'approval_changed' },
    { name: 'proves admins by now', view: viewWith([issuer({ proves: 'admins' })]), answer: 'counts' },
  ])('where the issuer that proved them $name: $answer', ({ view, answer }) => {
    expect(judge({ view })).toBe(answer);
  });

  test.each<{ readonly name: string; readonly row: Taken; readonly answer: string }>([
    { name: 'their issuer', row: { target: `issuer:${PEOPLE_ID}` }, answer: 'approval_changed' },
    { name: 'their issuer, and let in again', row: { target: `issuer:${PEOPLE_ID}`, ...lifted }, answer: 'approval_changed' },
    { name: 'another issuer', row: { target: `issuer:${elsewhere.id}` }, answer: 'counts' },
    { name: 'the other entry of their issuer, which did not prove them', row: { target: `issuer:${ADMINS_ID}` }, answer: 'counts' },
    { name: 'them', row: { target: `person:${urn('corp')}` }, answer: 'approval_changed' },
    { name: 'them, and let in again', row: { target: `person:${urn('corp')}`, ...lifted }, answer: 'approval_changed' },
    { name: 'them at the very moment, and let in again', row: { target: `person:${urn('corp')}`, at: AT, ...lifted }, answer: 'approval_changed' },
    { name: 'them before they said it, and let in again', row: { target: `person:${urn('corp')}`, at: AT - 1, ...lifted }, answer: 'counts' },
    { name: 'them before they said it, and not let in again', row: { target: `person:${urn('corp')}`, at: AT - 1 }, answer: 'approval_changed' },
    { name: 'them as another entry of their issuer knows them', row: { target: `person:${urn('corp-admins')}` }, answer: 'approval_changed' },
    { name: 'them by another entry, and let in again', row: { target: `person:${urn('corp-admins')}`, ...lifted }, answer: 'approval_changed' },
    { name: 'who has their subject at another issuer', row: { target: `person:${urn('partner')}` }, answer: 'counts' },
    { name: 'somebody else', row: { target: `person:${urn('corp', 'ben')}` }, answer: 'counts' },
  ])('after a revocation of $name: $answer', ({ row, answer }) => {
    expect(judge({ revoked: [row] })).toBe(answer);
  });

  test('does not count while they are suspended, under any of their names, and does again after', () => {
    for (const entry of ['corp', 'corp-admins']) {
      expect(judge({ revoked: [{ target: `person:${urn(entry)}`, effect: 'suspended' }] })).toBe('approval_changed');
      expect(judge({ revoked: [{ target: `person:${urn(entry)}`, effect: 'suspended', ...lifted }] })).toBe('counts');
    }
  });

  test('is replaced by that of another who stands, and by nobody of another name', () => {
    const revoked = [{ target: `person:${urn('corp')}` as const }];
    const ben = vote({ person: urn('corp', 'ben'), sub: 'ben', at: AT + 1 });
    const judged = judgeVotes(viewWith(ALL), snapshotOf(...revoked), frozen, [vote(), ben], NOW);
    expect(judged.ok && judged.value.map(({ at }) => at)).toEqual([AT + 1]);
    expect(judge({ revoked, votes: [vote(), { ...ben, name: 'others' }] })).toBe('approval_changed');
  });

  test('is decided anew: no policy, no word', () => {
    expect(judge({ view: viewWith(ALL, []) })).toBe('approval_changed');
  });
});

test('somebody of whom no login is known is asked only whether anything is blocked now', () => {
  const targets = [`person:${urn('corp')}`] as const;
  expect(approverRevoked(snapshotOf({ target: targets[0], ...lifted }), targets)).toBeUndefined();
  expect(approverRevoked(snapshotOf({ target: targets[0], ...lifted }), targets, AT)).toMatchObject({ code: 'revoked' });
  expect(approverRevoked(snapshotOf({ target: targets[0] }), targets)).toMatchObject({ code: 'revoked' });
});
