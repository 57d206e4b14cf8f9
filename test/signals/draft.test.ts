import { describe, expect, test } from '@jest/globals';
import type { DomainId, LeaseId, SessionId, SpiffeId, StreamId } from '../../src/core/ids.ts';
import type { JsonObject } from '../../src/core/json.ts';
import { draftEvents } from '../../src/signals/draft.ts';
import type { Cause, Fall, Listener } from '../../src/signals/draft.ts';

const DEV = 'dom_dev' as DomainId;
const NOW = Date.UTC(2026, 10, 22, 12);
const ISSUER = 'https://sts.acme.example/dev';
const ACTOR = 'spiffe://dev.acme.example/agents/planner' as SpiffeId;
const session = { id: 'sid-1' as SessionId, domainId: DEV };
const told = { session, sub: 'urn:mayfly:dev:person:corp:alice' };
const user = { format: 'iss_sub', iss: ISSUER, sub: told.sub };
const CAEP = 'https://schemas.openid.net/secevent/caep/event-type/';

const listener = (change: Partial<Listener> = {}): Listener => ({ id: 'str_1' as StreamId, domainId: DEV, eventsRequested: null, beganSeq: 4, createdAt: NOW - 1000, status: 'enabled', issuer: ISSUER, excluded: [], ...change });
const cause: Cause = { seq: 5, domainId: DEV, target: 'session:sid-1', at: NOW + 999, by: 'local', reason: 'stolen' };

interface Drafted { readonly streamId: string; readonly dedupeKey: string; readonly type: string; readonly subject: JsonObject; readonly payload: JsonObject; readonly txn: string; readonly at: number }
const draft = (fall: Fall, { why = cause, to = [listener()] }: { readonly why?: Cause; readonly to?: readonly Listener[] } = {}): readonly Drafted[] =>
  draftEvents(why, [fall], to, { encode: (event) => JSON.stringify(event), now: NOW + 5000 }).map(({ row }) => JSON.parse(row) as Drafted);
const SESSION: Fall = { kind: 'session', ...told };

describe('what falls', () => {
  const lease = { id: 'lse_1' as LeaseId, kind: 'access_token' };
  const common = { event_timestamp: Math.floor((NOW + 999) / 1000), initiating_entity: 'admin', reason_admin: { en: 'stolen' } };
  test.each<{ readonly name: string; readonly fall: Fall; readonly event: Partial<Drafted> }>([
    { name: 'a session', fall: SESSION, event: { type: `${CAEP}session-revoked`, subject: { format: 'complex', session: { format: 'opaque', id: 'sid-1' }, user }, payload: common, dedupeKey: 'session/sid-1' } },
    { name: 'a session nobody got a token of', fall: { ...SESSION, sub: undefined }, event: { subject: { format: 'complex', session: { format: 'opaque', id: 'sid-1' } } } },
    { name: 'an actor\'s place', fall: { kind: 'actor', actor: ACTOR, ...told }, event: { type: `${CAEP}session-revoked`, subject: { format: 'complex', session: { format: 'opaque', id: 'sid-1' }, user, application: { format: 'iss_sub', iss: ISSUER, sub: ACTOR } }, dedupeKey: `actor/sid-1/${ACTOR}/5` } },
    { name: 'a token', fall: { kind: 'token', lease, actor: ACTOR, ...told }, event: { type: `${CAEP}session-revoked`, subject: { format: 'jwt_id', iss: ISSUER, jti: 'lse_1' }, payload: common, dedupeKey: 'lease/lse_1' } },
    { name: 'a credential that is no token', fall: { kind: 'credential', lease: { ...lease, kind: 'aws-credentials' }, actor: ACTOR, ...told }, event: { type: `${CAEP}credential-change`, payload: { credential_type: 'aws-credentials', change_type: 'revoke', friendly_name: 'lse_1', ...common } } },
    { name: 'a suspended session', fall: { kind: 'suspended', domainId: DEV, of: { what: 'session', ...told } }, event: { type: `${CAEP}risk-level-change`, payload: { principal: 'SESSION', current_level: 'HIGH', ...common }, dedupeKey: 'suspended/5' } },
    { name: 'a suspended actor', fall: { kind: 'suspended', domainId: DEV, of: { what: 'actor', actor: ACTOR, ...told } }, event: { payload: { principal: 'SESSION', current_level: 'HIGH', ...common } } },
    { name: 'a suspended person', fall: { kind: 'suspended', domainId: DEV, of: { what: 'person', sub: told.sub } }, event: { subject: user, payload: { principal: 'USER', current_level: 'HIGH', ...common } } },
    { name: 'a workload let in again', fall: { kind: 'lifted', domainId: DEV, of: { what: 'workload', sub: ACTOR } }, event: { subject: { format: 'iss_sub', iss: ISSUER, sub: ACTOR }, payload: { principal: 'APPLICATION', current_level: 'LOW', previous_level: 'HIGH', ...common }, dedupeKey: 'lifted/5' } },
  ])('$name', ({ fall, event }) => {
    expect(draft(fall)).toEqual([expect.objectContaining({ streamId: 'str_1', txn: 'revocation/5', at: NOW + 5000, ...event })]);
  });

  test.each([
    { by: 'local', entity: 'admin' }, { by: 'corp/alice', entity: 'admin' }, { by: ACTOR, entity: 'user' }, { by: 'signal:corp', entity: 'system' }, { by: 'https://login.acme.example', entity: 'system' },
  ])('$by is told as $entity', ({ by, entity }) => { expect(draft(SESSION, { why: { ...cause, by } })[0]?.payload['initiating_entity']).toBe(entity); });

  test('drafted again, the same event has the same name, whatever ended the session', () => {
    const keys = [cause, { ...cause, seq: 9, target: 'workload:w' as const }].map((why) => draft(SESSION, { why })[0]?.dedupeKey);
    expect(new Set(keys)).toEqual(new Set(['session/sid-1']));
  });
});

describe('a stream hears', () => {
  const exclusion = (since: number) => [{ subject: user, since }];
  test.each<{ readonly name: string; readonly change: Partial<Listener>; readonly why?: Cause; readonly hears: boolean }>([
    { name: 'what its domain loses', change: {}, hears: true },
    { name: 'nothing of another domain', change: { domainId: 'dom_prod' as DomainId }, hears: false },
    { name: 'what happened right after it began', change: { beganSeq: 4 }, hears: true },
    { name: 'nothing that happened before it began', change: { beganSeq: 5 }, hears: false },
    { name: 'while it is paused', change: { status: 'paused' }, hears: true },
    { name: 'nothing while it is disabled', change: { status: 'disabled' }, hears: false },
    { name: 'what it asked for', change: { eventsRequested: [`${CAEP}session-revoked`, 'https://other'] }, hears: true },
    { name: 'nothing else', change: { eventsRequested: [`${CAEP}risk-level-change`] }, hears: false },
    { name: 'nothing at all if it asked for nothing', change: { eventsRequested: [] }, hears: false },
    { name: 'of a subject it removed as long as that is recent', change: { excluded: exclusion(NOW + 1000) }, hears: true },
    { name: 'nothing of a subject it removed', change: { excluded: exclusion(NOW + 999) }, hears: false },
  ])('$name', ({ change, why = cause, hears }) => { expect(draft(SESSION, { why, to: [listener(change)] })).toHaveLength(hears ? 1 : 0); });

  test('why it happened where it happened, and elsewhere only that it did', () => {
    expect(draft(SESSION)[0]?.payload).toHaveProperty('reason_admin', { en: 'stolen' });
    const elsewhere = draft(SESSION, { why: { ...cause, domainId: 'dom_prod' } });
    expect(elsewhere).toHaveLength(1);
    expect(elsewhere[0]?.payload).not.toHaveProperty('reason_admin');
  });

  test('the same as every other that listens', () => {
    expect(draft(SESSION, { to: [listener(), listener({ id: 'str_2' as StreamId })] }).map(({ streamId }) => streamId)).toEqual(['str_1', 'str_2']);
  });
});
