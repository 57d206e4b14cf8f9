import { describe, expect, test } from '@jest/globals';
import type { Request } from 'express';
import fc from 'fast-check';
import { readAuthorization } from '../../src/http/caller.ts';

const readHeaders = (...values: readonly string[]) => readAuthorization({ headersDistinct: { authorization: values } } as unknown as Request);

describe('the Authorization header', () => {
  test.each([
    { name: 'a bearer token', value: 'Bearer a.b.c', scheme: 'Bearer' },
    { name: 'a DPoP-bound token', value: 'DPoP a.b.c', scheme: 'DPoP' },
    { name: 'a scheme in other letters', value: 'bEARER a.b.c', scheme: 'Bearer' },
    { name: 'several spaces', value: 'dpop   a.b.c', scheme: 'DPoP' },
  ])('gives $name', ({ value, scheme }) => {
    expect(readHeaders(value)).toEqual({ ok: true, value: { scheme, token: 'a.b.c' } });
  });

  test('that is absent is no credential', () => {
    expect(readAuthorization({ headersDistinct: {} } as unknown as Request)).toEqual({ ok: true, value: undefined });
  });

  test.each(['Bearer', 'Bearer ', 'Basic YTpi', 'Bearer a b', 'Bearer a,Bearer b', 'Bearer a, DPoP b', 'Bearer\ta', 'Bearer "a"', 'xBearer a', 'Bearera', '', 'Bearer a\n', 'Bearer é'])('%j is refused', (value) => {
    expect(readHeaders(value)).toMatchObject({ ok: false, error: { code: 'token_malformed' } });
  });

  test('sent twice is refused, even alike', () => {
    expect(readHeaders('Bearer a', 'Bearer a')).toMatchObject({ ok: false, error: { code: 'token_malformed' } });
  });

  test('whatever it holds gives a token without spaces and commas, or none', () => {
    fc.assert(fc.property(fc.string(), (text) => {
      const read = readHeaders(`Bearer ${text}`);
      return !read.ok || (read.value !== undefined && /^[A-Za-z0-9._~+/=-]+$/.test(read.value.token));
    }));
  });
});
