import { describe, expect, test } from '@jest/globals';
import { parseManifest, parseManifestYaml } from '../../src/registry/manifest.ts';
import { errorOf, manifest, valueOf, withChange } from './world.ts';

describe('the shape of a manifest', () => {
  test('takes a manifest that everything is right with', () => {
    const parsed = valueOf(parseManifest(manifest()));
    expect([parsed.domains.length, parsed.issuers.length, parsed.resources.length, parsed.workloads.length, parsed.policies.length]).toEqual([1, 1, 2, 2, 1]);
  });

  test('takes an empty section and a missing one', () => {
    expect(parseManifest({ domains: null }).ok).toBe(true);
  });

  test.each([
    { name: 'a missing owner', path: ['domains', 0, 'owner'], value: undefined, at: 'domains[0].owner', says: 'is missing' },
    { name: 'an empty owner', path: ['domains', 0, 'owner'], value: '', at: 'domains[0].owner', says: 'is empty' },
    { name: 'an owner that moves the cursor', path: ['domains', 0, 'owner'], value: 'a\u001b[2Jb', at: 'domains[0].owner', says: 'has the wrong form' },
    { name: 'an unknown stage', path: ['domains', 0, 'stage'], value: 'prod', at: 'domains[0].stage', says: 'must be development or staging or production' },
    { name: 'a missing expiry of an issuer', path: ['issuers', 0, 'expires'], value: undefined, at: 'issuers[0].expires', says: 'is missing' },
    { name: 'a missing expiry of a resource', path: ['resources', 0, 'expires'], value: undefined, at: 'resources[0].expires', says: 'is missing' },
    { name: 'a missing expiry of a workload', path: ['workloads', 0, 'expires'], value: undefined, at: 'workloads[0].expires', says: 'is missing' },
    { name: 'a date the calendar has not', path: ['workloads', 0, 'expires'], value: '2027-02-30', at: 'workloads[0].expires', says: 'is not a date' },
    { name: 'a local time', path: ['workloads', 0, 'expires'], value: '2027-02-20T10:00:00', at: 'workloads[0].expires', says: 'is not a date' },
    { name: 'an expiry in words', path: ['workloads', 0, 'expires'], value: 'never', at: 'workloads[0].expires', says: 'is not a date' },
    { name: 'an unknown workload kind', path: ['workloads', 0, 'kind'], value: 'robot', at: 'workloads[0].kind', says: 'must be service or pipeline or agent or tool' },
    { name: 'an unknown field of a workload', path: ['workloads', 0, 'ownr'], value: 'x', at: 'workloads[0].ownr', says: 'is not a known field' },
    { name: 'a name with an empty segment', path: ['workloads', 0, 'name'], value: 'ci//deployer', at: 'workloads[0].name', says: 'has the wrong form' },
    { name: 'a rule without an issuer', path: ['workloads', 0, 'match', 'issuer'], value: undefined, at: 'workloads[0].match.issuer', says: 'is missing' },
    { name: 'an empty list of alternatives', path: ['workloads', 0, 'match', 'ref'], value: [], at: 'workloads[0].match.ref', says: 'is empty' },
    { name: 'a mapping as attribute value', path: ['workloads', 0, 'match', 'ref'], value: { not: 'x' }, at: 'workloads[0].match.ref', says: 'must be text' },
    { name: 'an issuer name with a colon', path: ['issuers', 0, 'name'], value: 'git:hub', at: 'issuers[0].name', says: 'has the wrong form' },
    { name: 'a symmetric algorithm', path: ['issuers', 0, 'algorithms'], value: ['HS256'], at: 'issuers[0].algorithms[0]', says: 'must be RS256' },
    { name: 'no algorithm at all', path: ['issuers', 0, 'algorithms'], value: ['none'], at: 'issuers[0].algorithms[0]', says: 'must be RS256' },
    { name: 'a private key among pinned keys', path: ['issuers', 0, 'jwks'], value: { keys: [{ kty: 'EC', crv: 'P-256', x: 'x', y: 'y', d: 'secret' }] }, at: 'issuers[0].jwks.keys[0]', says: 'holds private key members' },
    { name: 'a symmetric pinned key', path: ['issuers', 0, 'jwks'], value: { keys: [{ kty: 'oct', k: 'secret' }] }, at: 'issuers[0].jwks.keys[0].kty', says: 'must be EC or RSA or OKP' },
    { name: 'no pinned key', path: ['issuers', 0, 'jwks'], value: { keys: [] }, at: 'issuers[0].jwks.keys', says: 'is empty' },
    { name: 'a scope with a space', path: ['resources', 0, 'scopes'], value: ['deploy read'], at: 'resources[0].scopes[0]', says: 'has the wrong form' },
    { name: 'a scope with a quote', path: ['resources', 0, 'scopes'], value: ['deploy"read'], at: 'resources[0].scopes[0]', says: 'has the wrong form' },
    { name: 'a scope with a backslash', path: ['resources', 0, 'scopes'], value: ['deploy\\read'], at: 'resources[0].scopes[0]', says: 'has the wrong form' },
    { name: 'an audience with a fragment', path: ['resources', 0, 'audience'], value: 'https://deploy.acme.example#x', at: 'resources[0].audience', says: 'has the wrong form' },
    { name: 'a lifetime as text', path: ['resources', 0, 'lifetime'], value: '300', at: 'resources[0].lifetime', says: 'must be a number, not text' },
    { name: 'bound as text', path: ['resources', 0, 'bound'], value: 'yes', at: 'resources[0].bound', says: 'must be true or false, not text' },
    { name: 'a policy without text', path: ['policies', 0, 'cedar'], value: undefined, at: 'policies[0].cedar', says: 'is missing' },
    { name: 'an acceptance without a reason', path: ['policies', 0, 'accept'], value: [{ rule: 'wildcard', until: '2027-01-01' }], at: 'policies[0].accept[0].reason', says: 'is missing' },
    { name: 'an acceptance without an end', path: ['policies', 0, 'accept'], value: [{ rule: 'wildcard', reason: 'x' }], at: 'policies[0].accept[0].until', says: 'is missing' },
    { name: 'a section that is no list', path: ['policies'], value: {}, at: 'policies', says: 'must be a list' },
    { name: 'an unknown section', path: ['polices'], value: [], at: 'polices', says: 'is not a known field' },
  ])('refuses $name', ({ path, value, at, says }) => {
    const problems = errorOf(parseManifest(withChange(manifest(), path, value)));
    expect(problems).toEqual([{ path: at, message: expect.stringContaining(says), mend: expect.stringMatching(/\w/) }]);
  });

  test.each([
    { name: 'kind of an issuer', path: ['issuers', 0, 'kind'], mend: 'write it like kind: github-actions' },
    { name: 'kind of a workload', path: ['workloads', 0, 'kind'], mend: 'choose one of these' },
    { name: 'issuer of a rule', path: ['workloads', 0, 'match', 'issuer'], mend: 'write it like issuer: github' },
    { name: 'name of a domain', path: ['domains', 0, 'name'], mend: 'write it like name: ' },
  ])('says how to write what is missing: the $name', ({ path, mend }) => {
    expect(errorOf(parseManifest(withChange(manifest(), path, undefined)))).toContainEqual(expect.objectContaining({ mend: expect.stringContaining(mend) }));
  });

  test.each([
    { name: 'a UTC date-time', path: ['workloads', 0, 'expires'], value: '2027-02-20T10:00:00Z' },
    { name: 'a leap day', path: ['workloads', 0, 'expires'], value: '2028-02-29' },
    { name: 'a list of alternatives', path: ['workloads', 0, 'match', 'ref'], value: ['refs/heads/main', 'refs/heads/release'] },
    { name: 'an asymmetric algorithm', path: ['issuers', 0, 'algorithms'], value: ['ES256'] },
    { name: 'a pinned public key', path: ['issuers', 0, 'jwks'], value: { keys: [{ kty: 'EC', crv: 'P-256', x: 'x', y: 'y' }] } },
    { name: 'a scope with every odd character RFC 6749 allows', path: ['resources', 0, 'scopes'], value: ['!#$%&()*+,-./:;<=>?@[]^_`{|}~'] },
    { name: 'a lifetime', path: ['resources', 0, 'lifetime'], value: 300 },
    { name: 'an acceptance with reason and end', path: ['policies', 0, 'accept'], value: [{ rule: 'wildcard', reason: 'x', until: '2027-01-01' }] },
  ])('takes $name', ({ path, value }) => {
    expect(parseManifest(withChange(manifest(), path, value))).toMatchObject({ ok: true });
  });

  test('names the field that was meant', () => {
    const [problem] = errorOf(parseManifest(withChange(manifest(), ['workloads', 0, 'autority'], 'bounded')));
    expect(problem?.mend).toContain('"authority"');
  });

  test('tells every problem at once', () => {
    const broken = withChange(withChange(withChange(manifest(), ['domains', 0, 'owner'], undefined), ['issuers', 0, 'expires'], 'x'), ['workloads', 1, 'kind'], 5);
    expect(errorOf(parseManifest(broken)).map(({ path }) => path)).toEqual(['domains[0].owner', 'issuers[0].expires', 'workloads[1].kind']);
  });

  test.each([{ name: 'nothing', value: null }, { name: 'a list', value: [] }, { name: 'text', value: 'domains' }])('refuses $name as a manifest', ({ value }) => {
    expect(errorOf(parseManifest(value))).toEqual([expect.objectContaining({ path: '' })]);
  });
});

describe('reading YAML', () => {
  test('leaves dates and quoted numbers as they are written', () => {
    expect(parseManifestYaml('a: 2027-11-22\nb: "815"\nc: 815\nd: no\n')).toEqual({ ok: true, value: { a: '2027-11-22', b: '815', c: 815, d: 'no' } });
  });

  test('tells the place of a syntax error', () => {
    expect(errorOf(parseManifestYaml('domains:\n  - { name: prod\n'))).toEqual([expect.objectContaining({ path: expect.stringMatching(/^line \d+, column \d+$/) })]);
  });

  test.each([
    { name: 'a duplicate key', text: 'domains: []\ndomains: []\n' },
    { name: 'an unknown tag', text: 'domains: !secret [x]\n' },
    { name: 'two documents', text: 'a: 1\n---\nb: 2\n' },
    { name: 'a key that is not text', text: '? [a]\n: 1\n' },
  ])('refuses $name', ({ text }) => {
    expect(errorOf(parseManifestYaml(text)).length).toBeGreaterThan(0);
  });

  test('does not let aliases multiply', () => {
    const levels = Array.from({ length: 12 }, (_, level) => `l${level + 1}: &l${level + 1} [${Array.from({ length: 9 }, () => `*l${level}`).join(', ')}]`);
    expect(errorOf(parseManifestYaml(['l0: &l0 x', ...levels].join('\n')))).toEqual([expect.objectContaining({ message: expect.stringContaining('alias') })]);
  });

  test('does not merge mappings', () => {
    const read = valueOf(parseManifestYaml('base: &b { owner: x }\ndomains: [{ <<: *b, name: prod }]\n')) as { domains: object[] };
    expect(Object.keys(read.domains[0] ?? {})).toEqual(['<<', 'name']);
  });
});
