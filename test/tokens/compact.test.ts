import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { readCompact, readJson, readObject } from '../../src/tokens/compact.ts';

const b64 = (text: string): string => Buffer.from(text).toString('base64url');
const good = `${b64('{"alg":"ES256"}')}.${b64('{"iss":"x"}')}.${b64('signature')}`;

test('reads a compact JWS', () => {
  expect(readCompact(good, 100)).toEqual({ header: { alg: 'ES256' }, payload: { iss: 'x' } });
});

test.each([
  { name: 'an empty text', text: '' },
  { name: 'two segments', text: good.split('.').slice(0, 2).join('.') },
  { name: 'five segments, as a JWE has', text: `${good}.AA.AA` },
  { name: 'an empty signature', text: `${good.split('.').slice(0, 2).join('.')}.` },
  { name: 'JSON serialisation', text: JSON.stringify({ protected: 'e30', payload: 'e30', signature: 'AA' }) },
  { name: 'padding', text: `${good}=` },
  { name: 'a space before it', text: ` ${good}` },
  { name: 'a line feed after it', text: `${good}\n` },
  { name: 'the standard alphabet', text: good.replace(b64('signature'), 'c2l+') },
  { name: 'another spelling of the same signature', text: `${good.split('.').slice(0, 2).join('.')}.AB` },
  { name: 'a header that is an array', text: `${b64('[]')}.${b64('{}')}.AA` },
  { name: 'a header that is not JSON', text: `${b64('{alg}')}.${b64('{}')}.AA` },
  { name: 'a payload that is text', text: `${b64('{}')}.${b64('"x"')}.AA` },
  { name: 'a payload that is not UTF-8', text: `${b64('{}')}.${Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]).toString('base64url')}.AA` },
  { name: 'a byte order mark', text: `${b64('{}')}.${b64('\ufeff{}')}.AA` },
  { name: 'a repeated member in the payload', text: `${b64('{}')}.${b64('{"iss":"x","iss":"x"}')}.AA` },
  { name: 'a repeated member in the header', text: `${b64('{"alg":"none","alg":"ES256"}')}.${b64('{}')}.AA` },
])('refuses $name', ({ text }) => {
  expect(typeof readCompact(text, 200)).toBe('string');
});

test('refuses five megabytes for their length, and one character too many', () => {
  expect(readCompact('A'.repeat(5_000_000), 16_384)).toBe('longer than 16384 characters');
  expect(readCompact(good, good.length - 1)).toContain('longer than');
  expect(readCompact(good, good.length)).toMatchObject({ payload: { iss: 'x' } });
});

test.each([
  { name: 'one name twice', text: '{"a":1,"a":2}' },
  { name: 'one name twice, once escaped', text: '{"a":1,"\\u0061":2}' },
  { name: 'one name twice deep inside', text: '{"a":[{"b":{"c":1,"c":1}}]}' },
  { name: 'an index twice', text: '{"0":1,"0":2}' },
  { name: '__proto__ twice', text: '{"__proto__":1,"__proto__":2}' },
  { name: 'arrays nested beyond any stack', text: `{"a":${'['.repeat(20_000)}${']'.repeat(20_000)}}` },
])('refuses $name', ({ text }) => {
  expect(readObject(Buffer.from(text))).toBeUndefined();
});

// nodejs/node#63785: once an object of that shape was read, JSON.parse takes a name for the beginning of how it is written.
test.each([
  { name: 'twice', before: '{"twice":"a","\\\\u0":"b"}', text: '{"twice":"a","\\u0074wice":"b"}' },
  { name: 'twice deep inside', before: '{"deep":[{"b":1,"\\\\":1}]}', text: '{"deep":[{"b":1,"\\u0062":1}]}' },
])('refuses a name that is there $name though the runtime reads it as another', ({ before, text }) => {
  expect(Object.keys(JSON.parse(before) as object)).not.toEqual([]);
  expect(readObject(Buffer.from(text))).toBeUndefined();
});

test.each(['{"sole":{"\\\\":1}}', '{"a\\\\b":1}', '[{"\\\\":1}]'])('refuses %s for the backslash in its name, which no misread name lacks', (text) => {
  expect(readJson(Buffer.from(text))).toBeUndefined();
  expect(readJson(Buffer.from(text.replaceAll('\\\\', '/')))).toBeDefined();
});

const namesIn = (value: unknown): readonly string[] =>
  typeof value === 'object' && value !== null ? [...(Array.isArray(value) ? [] : Object.keys(value)), ...Object.values(value).flatMap(namesIn)] : [];

test('takes any JSON object that JSON.stringify writes, whatever colons, quotes and escapes are in it', () => {
  const any = fc.dictionary(fc.oneof(fc.string(), fc.constantFrom(':', '"', '{":', '__proto__')), fc.jsonValue({ maxDepth: 4 }));
  fc.assert(fc.property(any.filter((value) => !namesIn(value).some((name) => name.includes('\\'))), (value) => {
    const text = JSON.stringify(value);
    expect(JSON.stringify(readObject(Buffer.from(text)))).toBe(text);
  }));
});
