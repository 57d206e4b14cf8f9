import { describe, expect, test } from '@jest/globals';
import { excludes, parseSubject, subjectKey } from '../../src/signals/subjects.ts';

const ALICE = { format: 'iss_sub', iss: 'https://sts/dev', sub: 'alice' };
const BOB = { format: 'iss_sub', iss: 'https://sts/dev', sub: 'bob' };
const SESSION = { format: 'opaque', id: 'sid-1' };
const event = { format: 'complex', session: SESSION, user: ALICE };

describe('a subject a receiver names', () => {
  test.each([
    ALICE, SESSION, { format: 'email', email: 'a@b.example' }, { format: 'account', uri: 'acct:a@b.example' }, { format: 'phone_number', phone_number: '+12065550123' }, { format: 'did', url: 'did:example:1' }, { format: 'uri', uri: 'spiffe://d/x' },
    { format: 'jwt_id', iss: 'https://sts', jti: '1' }, { format: 'saml_assertion_id', issuer: 'https://idp', assertion_id: '_1' }, { format: 'ip-addresses', 'ip-addresses': ['10.0.0.1'] },
    { format: 'aliases', identifiers: [ALICE, { format: 'email', email: 'a@b.example' }] }, event,
  ])('is kept as it is: $format', (subject) => { expect(parseSubject(subject)).toEqual(subject); });

  test('may leave out that it is complex', () => { expect(parseSubject({ user: ALICE })).toEqual({ format: 'complex', user: ALICE }); });

  test.each([
    { name: 'no object', subject: 'alice' }, { name: 'a list', subject: [ALICE] }, { name: 'nothing', subject: undefined }, { name: 'no format and no member', subject: {} },
    { name: 'an unknown format', subject: { format: 'shoe_size', shoe_size: '44' } }, { name: 'a member missing', subject: { format: 'iss_sub', iss: 'https://sts' } },
    { name: 'a member too many', subject: { ...ALICE, email: 'a@b.example' } }, { name: 'an empty member', subject: { ...ALICE, sub: '' } }, { name: 'a number for a text', subject: { ...ALICE, sub: 7 } },
    { name: 'aliases in aliases', subject: { format: 'aliases', identifiers: [{ format: 'aliases', identifiers: [ALICE] }] } }, { name: 'no aliases', subject: { format: 'aliases', identifiers: [] } },
    { name: 'a complex one with an unknown member', subject: { ...event, shoe: ALICE } }, { name: 'a complex one with a broken member', subject: { ...event, user: { format: 'iss_sub' } } }, { name: 'a complex one in a complex one', subject: { ...event, user: event } },
    { name: 'an inherited format', subject: { format: '__proto__' } }, { name: 'a huge one', subject: { ...ALICE, sub: 'x'.repeat(5000) } },
  ])('is refused: $name', ({ subject }) => { expect(parseSubject(subject)).toBeUndefined(); });
});

test('a subject is the same however its members are ordered', () => {
  expect(subjectKey({ sub: 'alice', format: 'iss_sub', iss: 'https://sts/dev' })).toBe(subjectKey(ALICE));
  expect(subjectKey(BOB)).not.toBe(subjectKey(ALICE));
});

describe('an exclusion', () => {
  test.each([
    { name: 'of the very subject', excluded: event, subject: event, is: true },
    { name: 'of the user of the event', excluded: ALICE, subject: event, is: true },
    { name: 'of another user', excluded: BOB, subject: event, is: false },
    { name: 'of one member', excluded: { format: 'complex', session: SESSION }, subject: event, is: true },
    { name: 'of a member that is another', excluded: { format: 'complex', user: BOB }, subject: event, is: false },
    { name: 'of two members, one of them another', excluded: { format: 'complex', session: SESSION, user: BOB }, subject: event, is: false },
    // By the letter of SSF an undefined member matches anything: one device would silence every event that names none.
    { name: 'of a member the event does not have', excluded: { format: 'complex', device: SESSION }, subject: event, is: false },
    { name: 'of a simple subject against a simple one', excluded: ALICE, subject: ALICE, is: true },
    { name: 'of a complex one against a simple one', excluded: { format: 'complex', user: ALICE }, subject: ALICE, is: false },
    { name: 'of the session by itself', excluded: SESSION, subject: event, is: false },
  ])('$name: $is', ({ excluded, subject, is }) => { expect(excludes(excluded, subject)).toBe(is); });
});
