import { describe, expect, test } from '@jest/globals';
import { createAuthenticate } from '../../src/exchange/authenticate.ts';
import type { ExchangeRequest } from '../../src/exchange/request.ts';
import type { DomainView } from '../../src/snapshot/domain-view.ts';
import { startAsking } from './asking.ts';
import { codeOf, domain, viewOf } from './world.ts';

const segment = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
/** A token whose claims nobody has verified yet. */
const claiming = (iss: unknown): string => `${segment({ alg: 'ES256' })}.${segment({ iss })}.c2ln`;
const [PEOPLE, PLATFORM, BOTH] = ['https://login.acme.example', 'https://platform.example', 'https://all.example'];

const plain = viewOf();
const entry = { name: 'entry' } as unknown as ReturnType<DomainView['issuersFor']>[number];
const PROVES: Readonly<Record<string, readonly string[]>> = { [PEOPLE]: ['people'], [PLATFORM]: ['workloads'], [BOTH]: ['people', 'workloads'] };
const view: DomainView = { ...plain, issuersFor: (iss, purpose) => (PROVES[iss]?.includes(purpose) === true ? [entry] : []) };

const show = async (change: Partial<ExchangeRequest>): Promise<string> => {
  const { ports, asked, asking } = startAsking({ view });
  const outcome = await createAuthenticate(ports)(asking(change));
  // Whose keys it is shown to first, or the refusal of what is shown to nobody's.
  return asked.length === 0 ? codeOf(outcome) : asked.filter((each) => !each.startsWith('lease')).map((each) => each.split(' ')[0]).join(', ');
};

describe('what is shown goes to who can judge it', () => {
  const [EVIDENCE, ACCESS, SESSION] = [{ subjectKind: 'evidence' }, { subjectKind: 'access-token' }, { subjectKind: 'session' }] as const;
  const actor = { actorToken: 'evidence' };
  test.each<{ readonly name: string; readonly change: Partial<ExchangeRequest>; readonly judged: string }>([
    { name: 'a platform\'s token', change: { ...EVIDENCE, subjectToken: claiming(PLATFORM) }, judged: 'attest' },
    { name: 'a token of an issuer that proves both', change: { ...EVIDENCE, subjectToken: claiming(BOTH) }, judged: 'attest' },
    { name: 'a token of nobody', change: { ...EVIDENCE, subjectToken: claiming('https://nobody.example') }, judged: 'attest' },
    { name: 'what is no token', change: { ...EVIDENCE, subjectToken: 'x' }, judged: 'attest' },
    { name: 'a token whose issuer is no text', change: { ...EVIDENCE, subjectToken: claiming(7) }, judged: 'attest' },
    { name: 'a person\'s token alone', change: { ...EVIDENCE, subjectToken: claiming(PEOPLE) }, judged: 'actor_missing' },
    { name: 'a person\'s token with an actor', change: { ...EVIDENCE, ...actor, subjectToken: claiming(PEOPLE) }, judged: 'attest, person' },
    { name: 'a platform\'s token with an actor, as a person\'s', change: { ...EVIDENCE, ...actor, subjectToken: claiming(PLATFORM) }, judged: 'attest, person' },
    { name: 'our own token said to be evidence', change: { ...EVIDENCE, subjectToken: claiming(domain.issuer) }, judged: 'attest' },
    { name: 'our own token', change: { ...ACCESS, subjectToken: claiming(domain.issuer) }, judged: 'verify' },
    { name: 'our own token with an actor', change: { ...ACCESS, ...actor, subjectToken: claiming(domain.issuer) }, judged: 'verify' },
    { name: 'an access token of nobody', change: { ...ACCESS, subjectToken: claiming('https://nobody.example') }, judged: 'verify' },
    { name: 'an access token of a platform', change: { ...ACCESS, subjectToken: claiming(PLATFORM) }, judged: 'verify' },
    { name: 'what is no token, said to be an access token', change: { ...ACCESS, subjectToken: 'x' }, judged: 'verify' },
    { name: 'a person\'s access token with an actor', change: { ...ACCESS, ...actor, subjectToken: claiming(PEOPLE) }, judged: 'attest, person' },
    { name: 'a person\'s access token alone', change: { ...ACCESS, subjectToken: claiming(PEOPLE) }, judged: 'actor_missing' },
    { name: 'an access token of an issuer that proves both, alone', change: { ...ACCESS, subjectToken: claiming(BOTH) }, judged: 'actor_missing' },
    { name: 'a session\'s id with an actor', change: { ...SESSION, ...actor, subjectToken: 'A'.repeat(22) }, judged: 'attest, session' },
    { name: 'a session\'s id alone', change: { ...SESSION, subjectToken: 'A'.repeat(22) }, judged: 'actor_missing' },
  ])('$name: $judged', async ({ change, judged }) => {
    expect(await show(change)).toBe(judged);
  });
});
