import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { covers, freeze, isParty, isSameGrant, isSamePerson, missingNames, namesIn, thaw } from '../../src/authority/approval.ts';
import type { Frozen, Need } from '../../src/authority/approval.ts';
import type { ApprovalId } from '../../src/core/ids.ts';

const ID = `apr_${'a'.repeat(32)}` as ApprovalId;
const ALICE = { person: 'urn:mayfly:dev:person:corp:alice', iss: 'https://idp.example', sub: 'alice' };
const API = 'https://pay.example';

const frozen = {
  approval: ID, domain: 'dom_1', session: 's', place: { kind: 'first' }, workload: 'wkl_1', actor: 'spiffe://dev/a', issuer: 'iss_1', key: 'jkt', crossing: null,
  chain: [{ iss: 'https://sts.example/dev', sub: 'spiffe://dev/a', workloadId: 'wkl_1', evidence: { kind: 'oidc', attributes: { text: 'ü \u0000 \ud800 "' } } }],
  person: { urn: ALICE.person, issuer: 'corp', groups: ['engineering'] }, login: { person: ALICE.person, authTime: 1 }, parties: [ALICE],
  evidence: { kind: 'oidc', issuer: 'platform', subject: 'a', attributes: { n: 1, yes: true, many: ['a'] } }, shownAt: 2, showedEvidence: true, opensTask: false,
  model: 'delegated', principal: ALICE.person, startedAt: 1, freshAt: 1, purpose: null, held: null, path: ['domain:dom_1'],
  asked: { target: API, scopes: ['send'], ceiling: null, details: null, tokenType: null, handOnTo: null, clientId: null }, forHop: false, lifetime: 300,
  granted: [{ audience: API, scopes: ['send'] }], needs: [{ audience: API, scope: 'send', names: ['leads'] }], byPrincipal: false, policies: [{ name: 'p', version: 1 }], registryVersion: 3, askedAt: 2, expiresAt: 3,
} as unknown as Frozen;

const codeOf = (result: ReturnType<typeof thaw>): string => (result.ok ? 'ok' : result.error.code);

describe('what is frozen', () => {
  const { text, hash } = freeze(frozen);

  test('thaws to what it was, whatever text is in it, and holds nothing that a column could change', () => {
    expect(thaw({ id: ID, frozen: text, hash })).toEqual({ ok: true, value: JSON.parse(JSON.stringify(frozen)) });
    expect(text).not.toMatch(/[\0\ud800-\udfff]/);
  });

  test('has one text, in whatever order it is put together', () => {
    const turned = Object.fromEntries(Object.entries(frozen).reverse()) as unknown as Frozen;
    expect(freeze(turned)).toEqual({ text, hash });
  });

  test('is another for any other word in it', () => {
    const changes: readonly Partial<Record<keyof Frozen, unknown>>[] = [
      { key: 'other' }, { granted: [{ audience: API, scopes: ['send', 'refund'] }] }, { needs: [{ audience: API, scope: 'send', names: ['others'] }] }, { parties: [] }, { byPrincipal: true },
      { chain: [] }, { crossing: 'lse_1' }, { evidence: { ...frozen.evidence, subject: 'b' } }, { shownAt: 3 }, { policies: [{ name: 'p', version: 2 }] }, { session: 't' }, { expiresAt: 4 }, { asked: { ...frozen.asked, target: 'x' } },
    ];
    const hashes = changes.map((change) => freeze({ ...frozen, ...change } as Frozen).hash);
    expect(new Set([hash, ...hashes]).size).toBe(changes.length + 1);
  });

  test.each([
    { name: 'the text changed', row: { id: ID, frozen: text.replace('send', 'Send'), hash } },
    { name: 'the hash changed', row: { id: ID, frozen: text, hash: `${hash.slice(0, -1)}A` } },
    { name: 'the text of another approval, with its hash', row: { id: `apr_${'b'.repeat(32)}` as ApprovalId, frozen: text, hash } },
    { name: 'a member nobody knows', row: { id: ID, ...(({ text: t, hash: h }) => ({ frozen: t, hash: h }))(freeze({ ...frozen, more: true } as unknown as Frozen)) } },
    { name: 'a member missing', row: { id: ID, ...(({ text: t, hash: h }) => ({ frozen: t, hash: h }))(freeze({ ...frozen, parties: undefined } as unknown as Frozen)) } },
    { name: 'needs of nobody', row: { id: ID, ...(({ text: t, hash: h }) => ({ frozen: t, hash: h }))(freeze({ ...frozen, needs: [] })) } },
  ])('is damaged with $name', ({ row }) => {
    expect(codeOf(thaw(row))).toBe('approval_damaged');
  });
});

describe('what was agreed to', () => {
  const need = (scope: string | null, ...names: readonly string[]): Need => ({ audience: API, scope, names });

  test('covers the same thing under all its names, and nothing else', () => {
    const agreed = [need('send', 'leads', 'security'), need(null, 'leads')];
    for (const needs of [[need('send', 'leads')], [need('send', 'security', 'leads')], [need(null, 'leads')], [], agreed]) expect(covers(agreed, needs)).toBe(true);
    for (const needs of [[need('refund', 'leads')], [need('send', 'others')], [need('send', 'leads', 'others')], [need(null, 'security')], [need('send', 'leads'), need('x', 'leads')], [{ ...need('send', 'leads'), audience: `${API}/` }]]) expect(covers(agreed, needs)).toBe(false);
  });

  const needs = fc.array(fc.record({ audience: fc.constantFrom('a', 'b'), scope: fc.constantFrom('x', 'y', null), names: fc.uniqueArray(fc.constantFrom('l', 's', 't'), { minLength: 1 }) }), { maxLength: 5 });
  test('covers itself, and more of it never covers less', () => {
    fc.assert(fc.property(needs, needs, needs, (a, b, c) => {
      expect(covers(a, a)).toBe(true);
      if (covers(a, c)) expect(covers([...a, ...b], c)).toBe(true);
      if (covers(a, b) && covers(a, c)) expect(covers(a, [...b, ...c])).toBe(true);
    }));
  });

  test('is issued whole: not less, not more, not elsewhere; order and doubles say nothing', () => {
    const granted = { granted: [{ audience: API, scopes: ['read', 'send'] }] };
    for (const pairs of [[{ audience: API, scopes: ['send', 'read'] }], [{ audience: API, scopes: ['send', 'read', 'send'] }]]) expect(isSameGrant(pairs, granted, () => new Map())).toBe(true);
    for (const pairs of [[], [{ audience: API, scopes: ['send'] }], [{ audience: API, scopes: ['read', 'send', 'refund'] }], [{ audience: API, scopes: [] }], [{ audience: 'x', scopes: ['read', 'send'] }], [...granted.granted, { audience: 'x', scopes: [] }]]) expect(isSameGrant(pairs, granted, () => new Map())).toBe(false);
  });
});

describe('people', () => {
  test('are parties by issuer and subject, under whatever entry', () => {
    expect(isParty(ALICE, frozen)).toBe(true);
    expect(isParty({ ...ALICE, person: 'urn:mayfly:dev:person:other:alice' }, frozen)).toBe(true);
    expect(isParty({ ...ALICE, iss: 'https://moved.example', sub: 'x' }, frozen)).toBe(true);
    expect(isParty({ person: 'urn:mayfly:dev:person:corp:bob', iss: ALICE.iss, sub: 'bob' }, frozen)).toBe(false);
    expect(isParty({ person: 'urn:mayfly:dev:person:other:alice', iss: 'https://other.example', sub: 'alice' }, frozen)).toBe(false);
    // Of an issuer that is gone only the name is known.
    expect(isParty({ ...ALICE, person: 'x' }, { parties: [{ person: 'y', iss: null, sub: null }] })).toBe(false);
  });

  test('are one person by issuer and subject', () => {
    expect(isSamePerson(ALICE, { iss: ALICE.iss, sub: 'alice' })).toBe(true);
    expect(isSamePerson(ALICE, { iss: ALICE.iss, sub: 'Alice' })).toBe(false);
    expect(isSamePerson(ALICE, { iss: 'x', sub: 'alice' })).toBe(false);
  });

  test('are missing where nobody spoke for a name', () => {
    expect(namesIn([{ audience: 'a', scope: null, names: ['b', 'a'] }, { audience: 'c', scope: 'x', names: ['a'] }])).toEqual(['a', 'b']);
    expect(missingNames(['a', 'b'], [{ name: 'a' }, { name: 'a' }])).toEqual(['b']);
    expect(missingNames(['a', 'b'], [{ name: 'b' }, { name: 'a' }])).toEqual([]);
  });
});
