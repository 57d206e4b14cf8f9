import { expect, test } from '@jest/globals';
import { normaliseHttpUri } from '../../src/tokens/http-uri.ts';

const URI = 'https://sts.acme.example/prod/token';

test.each([
  { name: 'the same', raw: URI },
  { name: 'an upper-case scheme', raw: 'HTTPS://sts.acme.example/prod/token' },
  { name: 'an upper-case host', raw: 'https://STS.Acme.Example/prod/token' },
  { name: 'the default port', raw: 'https://sts.acme.example:443/prod/token' },
  { name: 'an empty port', raw: 'https://sts.acme.example:/prod/token' },
  { name: 'a query', raw: `${URI}?a=b` },
  { name: 'a query as long as may be', raw: `${URI}?${'a'.repeat(2047 - URI.length)}` },
  { name: 'a fragment', raw: `${URI}#x` },
  { name: 'dot segments', raw: 'https://sts.acme.example/x/../prod/./token' },
  { name: 'escaped unreserved characters', raw: 'https://sts.acme.example/%70rod/tok%65n' },
  { name: 'an escaped letter in upper-case digits', raw: 'https://sts.acme.example/prod/t%6Fken' },
  { name: 'an escaped dot segment', raw: 'https://sts.acme.example/x/%2E%2e/prod/token' },
])('equal: $name', ({ raw }) => {
  expect(normaliseHttpUri(raw)).toBe(URI);
});

test.each([
  { name: 'another host', raw: 'https://sts.acme.example.evil/prod/token' },
  { name: 'another scheme', raw: 'http://sts.acme.example/prod/token' },
  { name: 'another port', raw: 'https://sts.acme.example:8443/prod/token' },
  { name: 'a trailing slash', raw: `${URI}/` },
  { name: 'another case in the path', raw: 'https://sts.acme.example/Prod/token' },
  { name: 'a doubled slash', raw: 'https://sts.acme.example//prod/token' },
  { name: 'an escaped slash', raw: 'https://sts.acme.example/prod%2Ftoken' },
])('different: $name', ({ raw }) => {
  expect(normaliseHttpUri(raw)).toBeDefined();
  expect(normaliseHttpUri(raw)).not.toBe(URI);
});

test.each([
  { name: 'user information', raw: 'https://user@sts.acme.example/prod/token' },
  { name: 'a backslash', raw: 'https:\\\\sts.acme.example/prod/token' },
  { name: 'a space before it', raw: ` ${URI}` },
  { name: 'a tab inside', raw: 'https://sts.acme.example/pr\tod/token' },
  { name: 'a line feed after it', raw: `${URI}\n` },
  { name: 'another protocol', raw: 'ftp://sts.acme.example/prod/token' },
  { name: 'no host', raw: 'https:///prod/token' },
  { name: 'a relative reference', raw: '/prod/token' },
  { name: 'a broken escape', raw: 'https://sts.acme.example/%7' },
  { name: 'a letter that is not ASCII', raw: 'https://sts.acme.example/prød/token' },
  { name: 'too great a port', raw: 'https://sts.acme.example:65536/prod/token' },
  { name: 'too great a length', raw: `${URI}?${'a'.repeat(2048 - URI.length)}` },
])('no URI: $name', ({ raw }) => {
  expect(normaliseHttpUri(raw)).toBeUndefined();
});

test('escapes keep their meaning: upper-case digits only', () => {
  expect(normaliseHttpUri('https://x.example/a%2fb')).toBe('https://x.example/a%2Fb');
  expect(normaliseHttpUri('https://x.example')).toBe('https://x.example/');
  expect(normaliseHttpUri('http://[::1]:8080/x')).toBe('http://[::1]:8080/x');
});
