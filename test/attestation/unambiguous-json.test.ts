import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { parseUnambiguousObject } from '../../src/attestation/unambiguous-json.ts';

const parse = (json: string): ReturnType<typeof parseUnambiguousObject> => parseUnambiguousObject(Buffer.from(json));
const namesIn = (value: unknown): readonly string[] =>
  typeof value === 'object' && value !== null ? [...(Array.isArray(value) ? [] : Object.keys(value)), ...Object.values(value).flatMap(namesIn)] : [];
const member = fc.tuple(fc.oneof(fc.string(), fc.constantFrom('__proto__', 'a', 'a"b', 'a:b', '{')).filter((name) => !name.includes('\\')), fc.json({ maxDepth: 3 }).filter((json) => !namesIn(JSON.parse(json)).some((name) => name.includes('\\'))));
const spellings = (name: string): readonly string[] => [JSON.stringify(name), `"${[...name].map((char) => [...Array(char.length).keys()].map((at) => `\\u${char.charCodeAt(at).toString(16).padStart(4, '0')}`).join('')).join('')}"`];

describe('parseUnambiguousObject', () => {
  test('parses what JSON.parse parses when no member occurs twice', () => {
    fc.assert(fc.property(fc.uniqueArray(member, { selector: ([name]) => name }), fc.constantFrom('', ' ', '\n\t'), (members, space) => {
      const json = `{${members.map(([name, value]) => `${space}${JSON.stringify(name)}${space}:${space}${value}`).join(`${space},`)}${space}}`;
      expect(parse(json)).toEqual({ ok: true, value: JSON.parse(json) as unknown });
    }));
  });

  test('refuses a member that occurs twice, in whatever spelling and at whatever depth', () => {
    fc.assert(fc.property(fc.uniqueArray(member, { selector: ([name]) => name, minLength: 1 }), fc.nat(), fc.nat({ max: 1 }), fc.nat({ max: 5 }), (members, seed, spelling, depth) => {
      const [name, value] = members[seed % members.length] ?? ['', '1'];
      const doubled = `{${[...members.map(([known, content]) => `${JSON.stringify(known)}:${content}`), `${String(spellings(name)[spelling])}:${value}`].join(',')}}`;
      const json = `${'{"in":['.repeat(depth)}${doubled}${']}'.repeat(depth)}`;
      expect(() => JSON.parse(json) as unknown).not.toThrow();
      expect(parse(json)).toEqual({ ok: false, error: 'a member name occurs twice' });
    }));
  });

  // nodejs/node#63785: once an object of that shape was read, JSON.parse takes a name for the beginning of how it is written.
  test.each([
    { name: 'a member twice', before: '{"iss":"a","\\\\u0":"b"}', json: '{"iss":"a","\\u0069ss":"b"}' },
    { name: 'a member beside its place', before: '{"aud":"a","\\\\u0":"b"}', json: '{"aud":"a","\\u0061ct":"b"}', is: 'act' },
  ])('never gives $name under another name that the runtime reads', ({ before, json, is = '' }) => {
    expect(parse(before)).toEqual({ ok: false, error: 'a member name has a backslash in it' });
    const read = parse(json);
    expect(read.ok && !Object.hasOwn(read.value, is)).toBe(false);
  });

  test.each([
    { name: 'nothing', json: '', error: 'not JSON in UTF-8' },
    { name: 'a comment', json: '{/**/}', error: 'not JSON in UTF-8' },
    { name: 'a trailing comma', json: '{"a":1,}', error: 'not JSON in UTF-8' },
    { name: 'null', json: 'null', error: 'not a JSON object' },
    { name: 'a list', json: '[{}]', error: 'not a JSON object' },
    { name: '33 levels', json: `${'{"a":'.repeat(32)}{}${'}'.repeat(32)}`, error: 'nested too deeply' },
  ])('refuses $name', ({ json, error }) => {
    expect(parse(json)).toEqual({ ok: false, error });
  });

  test.each(['[]', '{}'])('takes any number of %s beside each other', (sibling) => {
    expect(parse(`{"a":[${Array.from({ length: 100 }, () => sibling).join(',')}]}`).ok).toBe(true);
  });

  test('takes 32 levels', () => {
    expect(parse(`${'{"a":'.repeat(31)}{}${'}'.repeat(31)}`).ok).toBe(true);
  });
});
