import { describe, expect, test } from '@jest/globals';
import { CEILING_TYPE, parseExchangeRequest } from '../../src/exchange/request.ts';

const GOOD: readonly (readonly [string, string])[] = [
  ['grant_type', 'urn:ietf:params:oauth:grant-type:token-exchange'],
  ['subject_token', 'header.payload.signature'],
  ['subject_token_type', 'urn:ietf:params:oauth:token-type:jwt'],
  ['audience', 'https://api.example'],
];

const formOf = (pairs: readonly (readonly [string, string])[]): ReadonlyMap<string, readonly string[]> => {
  const form = new Map<string, string[]>();
  for (const [name, value] of pairs) form.set(name, [...(form.get(name) ?? []), value]);
  return form;
};
const outcome = (pairs: readonly (readonly [string, string])[]): string => {
  const parsed = parseExchangeRequest(formOf(pairs));
  return parsed.ok ? 'accepted' : parsed.error.code;
};
const without = (name: string) => GOOD.filter(([key]) => key !== name);
const ceiling = (value: unknown): readonly (readonly [string, string])[] => [...without('audience'), ['authorization_details', typeof value === 'string' ? value : JSON.stringify(value)]];
const details = (value: unknown): readonly (readonly [string, string])[] => [...GOOD, ['authorization_details', typeof value === 'string' ? value : JSON.stringify(value)]];

describe('a token request', () => {
  test('of the right form is accepted', () => { expect(outcome(GOOD)).toBe('accepted'); });

  test.each([
    { name: 'no grant_type', form: without('grant_type'), code: 'parameter_missing' },
    { name: 'another grant', form: [...without('grant_type'), ['grant_type', 'client_credentials']], code: 'grant_type_unsupported' },
    { name: 'a repeated grant_type', form: [...GOOD, ['grant_type', 'urn:ietf:params:oauth:grant-type:token-exchange']], code: 'parameter_repeated' },
    { name: 'a repeated subject_token', form: [...GOOD, ['subject_token', 'x']], code: 'parameter_repeated' },
    { name: 'an empty subject_token', form: [...without('subject_token'), ['subject_token', '']], code: 'parameter_missing' },
    { name: 'no subject_token_type', form: without('subject_token_type'), code: 'parameter_missing' },
    { name: 'a refresh token as subject', form: [...without('subject_token_type'), ['subject_token_type', 'urn:ietf:params:oauth:token-type:refresh_token']], code: 'token_type_unsupported' },
    { name: 'an actor_token_type alone', form: [...GOOD, ['actor_token_type', 'urn:ietf:params:oauth:token-type:jwt']], code: 'parameter_invalid' },
    { name: 'a client secret', form: [...GOOD, ['client_secret', 's']], code: 'client_authentication_unsupported' },
    { name: 'two audiences', form: [...GOOD, ['audience', 'https://other.example']], code: 'target_multiple' },
    { name: 'an audience and another resource', form: [...GOOD, ['resource', 'https://other.example']], code: 'target_multiple' },
    { name: 'a resource with fragment', form: [...without('audience'), ['resource', 'https://api.example#x']], code: 'target_invalid' },
    { name: 'a relative resource', form: [...without('audience'), ['resource', '/api']], code: 'target_invalid' },
    { name: 'a relative resource after an empty one', form: [...without('audience'), ['resource', ''], ['resource', '/api']], code: 'target_invalid' },
    { name: 'an audience with a control character', form: [...without('audience'), ['audience', 'https://api.example\u0000']], code: 'target_invalid' },
    { name: 'an audience with a fragment', form: [...without('audience'), ['audience', 'https://api.example#x']], code: 'target_invalid' },
    { name: 'an audience longer than any registered one', form: [...without('audience'), ['audience', `https://${'a'.repeat(1024)}`]], code: 'target_invalid' },
    { name: 'a client id with a control character', form: [...GOOD, ['client_id', 'spiffe://x/\u0007']], code: 'parameter_invalid' },
    { name: 'details with a lone surrogate', form: ceiling(`[{"type":"${CEILING_TYPE}","audience":"https://api.example\\ud800"}]`), code: 'details_malformed' },
    { name: 'a second resource with fragment', form: [...without('audience'), ['resource', 'https://api.example'], ['resource', 'https://api.example#x']], code: 'target_multiple' },
    { name: 'scopes with two spaces', form: [...GOOD, ['scope', 'a  b']], code: 'scope_malformed' },
    { name: 'a scope with a quote', form: [...GOOD, ['scope', 'a"b']], code: 'scope_malformed' },
    { name: 'a repeated scope parameter', form: [...GOOD, ['scope', 'a'], ['scope', 'b']], code: 'parameter_repeated' },
    { name: 'details that are no JSON', form: ceiling('{'), code: 'details_malformed' },
    { name: 'details that name two audiences', form: ceiling(`[{"type":"${CEILING_TYPE}","audience":"https://other.example","audience":"https://api.example","scopes":["a"]}]`), code: 'details_malformed' },
    { name: 'details that name two audiences, one in escapes', form: ceiling(`[{"type":"${CEILING_TYPE}","audience":"https://other.example","\\u0061udience":"https://api.example","scopes":["a"]}]`), code: 'details_malformed' },
    { name: 'details of another type beside a ceiling', form: ceiling([{ type: CEILING_TYPE, audience: 'https://api.example' }, { type: 'payment' }]), code: 'details_unsupported' },
    { name: 'details without a type', form: details([{ amount: 1 }]), code: 'details_malformed' },
    { name: 'details whose type is a number', form: details([{ type: 1 }]), code: 'details_malformed' },
    { name: 'details that are an object', form: details({ type: 'payment' }), code: 'details_malformed' },
    { name: 'details that are text', form: details(['payment']), code: 'details_malformed' },
    { name: 'details with an object within', form: details([{ type: 'payment', amount: { value: 1 } }]), code: 'details_malformed' },
    { name: 'details with a list of objects within', form: details([{ type: 'payment', actions: [{}] }]), code: 'details_malformed' },
    { name: 'details with true', form: details([{ type: 'payment', urgent: true }]), code: 'details_malformed' },
    { name: 'details with null', form: details([{ type: 'payment', amount: null }]), code: 'details_malformed' },
    { name: 'details with a fraction', form: details([{ type: 'payment', amount: 0.5 }]), code: 'details_malformed' },
    { name: 'details with a number that is not exact', form: details('[{"type":"payment","amount":9007199254740993}]'), code: 'details_malformed' },
    { name: 'details with a line break', form: details([{ type: 'payment', creditor: 'a\nb' }]), code: 'details_malformed' },
    { name: 'details that name two amounts', form: details('[{"type":"payment","amount":1,"amount":100}]'), code: 'details_malformed' },
    { name: 'details that name two amounts, one in escapes', form: details('[{"type":"payment","amount":1,"\\u0061mount":100}]'), code: 'details_malformed' },
    { name: 'details that name the prototype', form: details('[{"type":"payment","__proto__":{"amount":1}}]'), code: 'details_malformed' },
    { name: 'details of a ceiling that name the prototype', form: ceiling(`[{"type":"${CEILING_TYPE}","audience":"https://api.example","details":[{"type":"payment","__proto__":1}]}]`), code: 'details_malformed' },
    { name: 'details of a ceiling without a type', form: ceiling([{ type: CEILING_TYPE, audience: 'https://api.example', details: [{ amount: 1 }] }]), code: 'details_malformed' },
    { name: 'no details within a ceiling', form: ceiling([{ type: CEILING_TYPE, audience: 'https://api.example', details: [] }]), code: 'details_malformed' },
    { name: 'details that are nested a thousand deep', form: details(`${'['.repeat(1000)}${']'.repeat(1000)}`), code: 'details_malformed' },
    { name: 'numbers that are short to write and long to repeat', form: details(`[{"type":"p",${Array.from({ length: 700 }, (_, at) => `"f${at}":1e15`).join(',')}}]`), code: 'details_malformed' },
    { name: 'details with an unknown field', form: ceiling([{ type: CEILING_TYPE, audience: 'https://api.example', scopes: [], actions: ['*'] }]), code: 'details_malformed' },
    { name: 'details with a scope that is a list of scopes', form: ceiling([{ type: CEILING_TYPE, audience: 'https://api.example', scopes: ['a b'] }]), code: 'details_malformed' },
    { name: 'empty details', form: ceiling([]), code: 'details_malformed' },
  ] as readonly { name: string; form: readonly (readonly [string, string])[]; code: string }[])('with $name is refused', ({ form, code }) => { expect(outcome(form)).toBe(code); });

  /** So many pairs of so many scopes each. */
  const pairs = (count: number, scopes: number, audience = 'https://api.example'): readonly object[] =>
    Array.from({ length: count }, (_pair, index) => ({ type: CEILING_TYPE, audience: `${audience}/${index}`, scopes: Array.from({ length: scopes }, (_scope, at) => `s${at}`) }));
  const many = (count: number): readonly object[] => Array.from({ length: count }, () => ({ type: 'payment', amount: 1 }));
  const scopes = (count: number): readonly (readonly [string, string])[] => [...GOOD, ['scope', Array.from({ length: count }, (_scope, at) => `s${at}`).join(' ')]];
  test.each([
    { name: 'scopes', most: scopes(64), more: scopes(65), code: 'scope_malformed' },
    { name: 'pairs', most: ceiling(pairs(32, 0)), more: ceiling(pairs(33, 0)), code: 'details_malformed' },
    { name: 'scopes of a pair', most: ceiling(pairs(1, 64)), more: ceiling(pairs(1, 65)), code: 'details_malformed' },
    { name: 'scopes of all pairs', most: ceiling(pairs(2, 64)), more: ceiling([...pairs(2, 64), ...pairs(1, 0, 'https://one.more')]), code: 'details_malformed' },
    { name: 'details', most: details(many(32)), more: details(many(33)), code: 'details_malformed' },
    { name: 'details of a pair', most: ceiling([{ ...pairs(1, 0)[0], details: many(32) }]), more: ceiling([{ ...pairs(1, 0)[0], details: many(33) }]), code: 'details_malformed' },
    { name: 'scopes and details of all pairs', most: ceiling(pairs(4, 1).map((pair) => ({ ...pair, details: many(31) }))), more: ceiling([...pairs(4, 1).map((pair) => ({ ...pair, details: many(31) })), ...pairs(1, 0, 'https://one.more')]), code: 'details_malformed' },
    { name: 'text of all pairs', most: ceiling(pairs(10, 0, `https://${'a'.repeat(900)}`)), more: ceiling(pairs(11, 0, `https://${'a'.repeat(900)}`)), code: 'details_malformed' },
  ])('with the most $name is accepted, and with more refused: each is a decision', ({ most, more, code }) => {
    expect([outcome(most), outcome(more)]).toEqual(['accepted', code]);
  });

  type Pairs = readonly (readonly [string, string])[];
  const TYPE = 'urn:ietf:params:oauth:token-type';
  const [CHILD, SESSION] = ['spiffe://prod.acme.example/agents/child', 'A'.repeat(22)];
  /** The usual form with these in place of what it has, or beside it. */
  const with_ = (...pairs: Pairs): Pairs => [...GOOD.filter(([key]) => !pairs.some(([name]) => name === key)), ...pairs];
  const actor: Pairs = [['actor_token', 'a.b.c'], ['actor_token_type', `${TYPE}:jwt`]];
  const spent: Pairs = [['subject_token_type', `${TYPE}:access_token`]];
  const renewed: Pairs = [['subject_token', SESSION], ['subject_token_type', 'urn:mayfly:token-type:session']];
  test.each<{ readonly name: string; readonly form: Pairs; readonly code: string }>([
    { name: 'an actor', form: with_(...actor), code: 'accepted' },
    { name: 'an actor by its ID token', form: with_(['actor_token', 'a.b.c'], ['actor_token_type', `${TYPE}:id_token`]), code: 'accepted' },
    { name: 'an actor without its type', form: with_(['actor_token', 'a.b.c']), code: 'parameter_missing' },
    { name: 'an actor of an unknown type', form: with_(['actor_token', 'a.b.c'], ['actor_token_type', `${TYPE}:saml2`]), code: 'token_type_unsupported' },
    { name: 'an actor that shows an access token, which is no evidence', form: with_(['actor_token', 'a.b.c'], ['actor_token_type', `${TYPE}:access_token`]), code: 'token_type_unsupported' },
    { name: 'two actors', form: [...with_(...actor), ['actor_token', 'd.e.f']], code: 'parameter_repeated' },
    { name: 'a session token', form: with_(...spent), code: 'accepted' },
    { name: 'a session token and an actor', form: with_(...spent, ...actor), code: 'accepted' },
    { name: 'a session token to hand on', form: with_(...spent, ['requested_actor', CHILD]), code: 'accepted' },
    { name: 'a session token to hand on to no SPIFFE ID', form: with_(...spent, ['requested_actor', 'agents/child']), code: 'parameter_invalid' },
    { name: 'a session token to hand on to a SPIFFE ID that would be mended', form: with_(...spent, ['requested_actor', `${CHILD}/../x`]), code: 'parameter_invalid' },
    { name: 'a session token to hand on to two', form: [...with_(...spent, ['requested_actor', CHILD]), ['requested_actor', `${CHILD}2`]], code: 'parameter_repeated' },
    { name: 'evidence to hand on', form: with_(['requested_actor', CHILD]), code: 'actor_unexpected' },
    { name: 'a session\'s id to hand on', form: with_(...renewed, ...actor, ['requested_actor', CHILD]), code: 'actor_unexpected' },
    { name: 'an actor and one to hand on to', form: with_(...spent, ...actor, ['requested_actor', CHILD]), code: 'actor_unexpected' },
    { name: 'a session\'s id and an actor', form: with_(...renewed, ...actor), code: 'accepted' },
    { name: 'a session\'s id alone', form: with_(...renewed), code: 'actor_missing' },
    { name: 'a task', form: with_(['session', SESSION]), code: 'accepted' },
    { name: 'a task that is no id', form: with_(['session', `${SESSION}A`]), code: 'session_unknown' },
    { name: 'a task\'s purpose', form: with_(['purpose', 'mend the tests – all of them']), code: 'accepted' },
    { name: 'a purpose of 500 characters', form: with_(['purpose', 'x'.repeat(500)]), code: 'accepted' },
    { name: 'a purpose of 501 characters', form: with_(['purpose', 'x'.repeat(501)]), code: 'parameter_invalid' },
    { name: 'a purpose of two lines', form: with_(['purpose', 'a\nb']), code: 'parameter_invalid' },
    { name: 'a purpose of two lines, otherwise parted', form: with_(['purpose', 'a\u2028b']), code: 'parameter_invalid' },
    { name: 'a purpose with half a character', form: with_(['purpose', 'a\ud800']), code: 'parameter_invalid' },
    { name: 'a task and a purpose', form: with_(['session', SESSION], ['purpose', 'mend']), code: 'parameter_invalid' },
    { name: 'a task and an actor', form: with_(['session', SESSION], ...actor), code: 'parameter_invalid' },
    { name: 'a task and a session token', form: with_(['session', SESSION], ...spent), code: 'parameter_invalid' },
    { name: 'a purpose and a session\'s id', form: with_(['purpose', 'mend'], ...renewed, ...actor), code: 'parameter_invalid' },
    { name: 'two tasks', form: [...with_(['session', SESSION]), ['session', SESSION]], code: 'parameter_repeated' },
    { name: 'a deferred answer that is told to somebody', form: with_(['completion_mode', 'deferred'], ['client_notification_token', 'x']), code: 'parameter_unsupported' },
  ])('with $name: $code', ({ form, code }) => { expect(outcome(form)).toBe(code); });

  test.each([
    { name: 'an audience sent twice as resource', form: [...GOOD, ['resource', 'https://api.example']] },
    { name: 'an empty actor_token, which is absent', form: [...GOOD, ['actor_token', '']] },
    { name: 'an unknown parameter', form: [...GOOD, ['nonsense', '1']] },
    { name: 'scopes', form: [...GOOD, ['scope', 'a b']] },
    { name: 'details for a target', form: details([{ type: 'https://acme.example/payment', amount: 100, actions: ['initiate'], creditor: 'DE02 1203' }]) },
    { name: 'a ceiling with details', form: ceiling([{ type: CEILING_TYPE, audience: 'https://api.example', details: [{ type: 'payment', amount: 1 }] }]) },
    { name: 'a ceiling', form: ceiling([{ type: CEILING_TYPE, audience: 'https://api.example', scopes: ['a'] }]) },
  ] as readonly { name: string; form: readonly (readonly [string, string])[] }[])('with $name is accepted', ({ form }) => { expect(outcome(form)).toBe('accepted'); });
});
