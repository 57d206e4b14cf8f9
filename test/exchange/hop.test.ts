import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { HOUR } from '../../src/core/duration.ts';
import type { LeaseId, SpiffeId, WorkloadId } from '../../src/core/ids.ts';
import { subjectOf, withShown } from '../../src/authority/chain.ts';
import { isWithin, normalise } from '../../src/authority/narrow.ts';
import { joinHop, openChildHop, openLogin, openRootHop, openTask } from '../../src/authority/session.ts';
import { aim } from '../../src/exchange/aim.ts';
import { bySessionId, bySessionToken } from '../../src/exchange/caller-token.ts';
import type { Caller } from '../../src/exchange/caller.ts';
import { decideAim, frameQuestions } from '../../src/exchange/decide.ts';
import { rulesAt } from '../../src/exchange/rules.ts';
import { loginClaims, openHop } from '../../src/exchange/hop.ts';
import type { DomainView } from '../../src/snapshot/domain-view.ts';
import type { CeilingPair, HopRow, SessionRow } from '../../src/store/rows.ts';
import type { ActClaim } from '../../src/tokens/claims.ts';
import { startAsking, token } from './asking.ts';
import { evidenceFacts } from '../../src/exchange/facts.ts';
import { API, BILLING, LEASE, NOW, OWN_TOKEN, SECRET, api, billing, caller, deployer, domain, evidence, hop, linkOf, newHop, other, person, policy, request, secret, session, standing, valueOf, viewOf, workload } from './world.ts';

/** Of pairs alone. */
const within = (child: readonly CeilingPair[], parent: readonly CeilingPair[]): boolean => isWithin({ pairs: child, endsAt: 0, depth: 0 }, { pairs: parent, endsAt: 0, depth: 0 }, rulesAt(VIEW));

const CEILING = [{ audience: API, scopes: ['deploy:read'] }];
const login: SessionRow = { ...openLogin(domain, person(), NOW), beganVersion: 5 };
const task: SessionRow = { ...openTask(domain, deployer, person().urn, evidence(), 'once', 'mend the tests', NOW), beganVersion: 5 };

describe('the place of a caller that has none yet', () => {
  test('is the session\'s first, with its key and what was decided', () => {
    expect(openHop(caller(), 'key', CEILING, NOW, VIEW)).toEqual(openRootHop(caller().session, newHop({ jkt: 'key', ceiling: CEILING }), NOW));
  });

  test('is below whoever handed on to it, resting on what was handed', () => {
    const child = caller({ workload: other, parent: { hop, handover: LEASE }, ceiling: CEILING, chain: [linkOf(), linkOf(other)] });
    expect(openHop(child, null, CEILING, NOW, VIEW)).toEqual(openChildHop({ ...hop, chain: [linkOf()] }, newHop({ workload: other, link: linkOf(other), ceiling: CEILING }), LEASE, NOW));
  });

  test('of a caller without a chain is a fault', () => { expect(() => openHop(caller({ chain: [] }), null, CEILING, NOW, VIEW)).toThrow('without a place'); });
});

describe('what a token says of a login', () => {
  test.each<{ readonly name: string; readonly of: Partial<Caller>; readonly said: ReturnType<typeof loginClaims> }>([
    { name: 'its time and level, in a person\'s session', of: { session: login, freshness: { at: NOW - 5, shown: true, within: HOUR } }, said: { authTime: NOW - 5, acr: 'mfa' } },
    { name: 'its time alone, where no level was told', of: { session: { ...login, facts: {} }, freshness: { at: NOW - 5, shown: false, within: HOUR } }, said: { authTime: NOW - 5, acr: undefined } },
    { name: 'nothing, of a run', of: {}, said: { authTime: undefined, acr: undefined } },
    { name: 'nothing, of a task, which was nobody\'s login', of: { session: { ...task, facts: { acr: 'mfa' } }, freshness: { at: NOW - 5, shown: true, within: HOUR } }, said: { authTime: undefined, acr: undefined } },
  ])('is $name', ({ of, said }) => {
    expect(loginClaims(caller(of))).toEqual(said);
  });
});

/** Workloads that policies treat differently, each with evidence of its own. */
const ACTORS = Array.from({ length: 5 }, (_, at) => workload({
  id: `wkl_${at}` as WorkloadId, name: `agents/a${at}`, spiffeId: `spiffe://prod.acme.example/agents/a${at}` as SpiffeId, authority: 'delegated', match: { issuer: 'github', attributes: { repository_id: [`90${at}`] } },
}));
const evidenceOf = (at: number) => evidence({ attributes: { ...evidence().attributes, repository_id: `90${at}` }, subject: `agent ${at}`, replayKey: `replay ${at} ${Math.random()}` });
const actor = (at: number): typeof deployer => {
  const found = ACTORS[at];
  if (found === undefined) throw new Error(`no actor ${at}`);
  return found;
};
const VIEW = viewOf({
  workloads: ACTORS, policies: [
    policy('permit(principal, action, resource);'), policy(`forbid(principal == Workload::"${actor(1).spiffeId}", action, resource == Scope::"${API}#deploy:admin");`),
    policy(`forbid(principal == Workload::"${actor(2).spiffeId}", action, resource in Resource::"${BILLING}");`), policy(`forbid(principal is Person, action, resource in Resource::"${SECRET}");`),
  ],
});

const pairs: fc.Arbitrary<readonly CeilingPair[]> = fc.uniqueArray(fc.constantFrom(api, billing, secret), { minLength: 1, maxLength: 3 })
  .chain((resources) => fc.tuple(...resources.map(({ audience, scopes }) => fc.oneof({ weight: 5, arbitrary: fc.subarray([...scopes], { minLength: 1 }) }, { weight: 1, arbitrary: fc.constant([]) }).map((asked) => ({ audience, scopes: asked })))));
const sessions = fc.constantFrom<SessionRow>(session, login, task);

/** Everything the caller may have of what it asks, or undefined when it is refused: the exchange's own steps. */
const grant = (by: Caller, asked: readonly CeilingPair[] | undefined, view: DomainView = VIEW): readonly CeilingPair[] | undefined => {
  const aimed = aim(request({ target: undefined, scopes: [], ceiling: asked }), by, view, NOW);
  const frames = frameQuestions(view, by, { bound: false, time: NOW, lifetime: 300 });
  if (!aimed.ok || !frames.ok) return undefined;
  const decided = decideAim(view, frames.value, aimed.value, by.ceiling);
  return decided.ok ? decided.value.pairs : undefined;
};
/** Pair by pair, so that one that is refused does not take the others along. */
const grantEach = (by: Caller, asked: readonly CeilingPair[]): readonly CeilingPair[] => normalise(asked, rulesAt(VIEW)).flatMap((pair) => grant(by, [pair]) ?? []);
const facts = (ceiling: readonly CeilingPair[]): readonly string[] => ceiling.flatMap(({ audience, scopes }) => (scopes.length === 0 ? [audience] : scopes.map((scope) => `${audience}#${scope}`))).sort();

describe('for any chain', () => {
  const first = (in_: SessionRow, asked: readonly CeilingPair[]): HopRow | undefined => {
    const by = caller({ workload: actor(0), session: in_, chain: [linkOf(actor(0))], ...(in_.model === 'delegated' ? { person: { urn: person().urn, issuer: 'corp', groups: [] } } : {}) });
    const granted = grantEach(by, asked);
    return granted.length === 0 ? undefined : openHop(by, null, granted, NOW, VIEW);
  };
  const callerOf = (in_: SessionRow, of: HopRow, at: number, more: Partial<Caller>): Caller =>
    caller({ workload: actor(at), session: in_, hop: of, ceiling: of.ceiling, chain: withShown(of.chain, evidenceFacts(evidenceOf(at))), ...(in_.model === 'delegated' ? { person: { urn: person().urn, issuer: 'corp', groups: [] } } : {}), ...more });

  test('the child is within the parent, and every descendant within every ancestor: what it may, how long, and what it falls with', () => {
    let depth = 0;
    fc.assert(fc.property(sessions, pairs, fc.array(fc.tuple(pairs, pairs, fc.nat(HOUR), fc.boolean()), { minLength: 1, maxLength: 4 }), (in_, asked, steps) => {
      const root = first(in_, asked);
      if (root === undefined) return;
      const hops = [root];
      for (const [at, [handed, taken, sooner, modest]] of steps.entries()) {
        const parent = hops.at(-1) ?? root;
        // Two calls, as they are: narrowed by the parent, taken up by the child.
        const ceiling = grant(callerOf(in_, parent, at, { showedEvidence: true }), modest ? parent.ceiling : handed);
        if (ceiling === undefined) break;
        const child = actor(at + 1);
        const by = callerOf(in_, parent, at + 1, { hop: undefined, parent: { hop: parent, handover: `lse_${at}` as LeaseId }, ceiling, chain: [...withShown(parent.chain, evidenceFacts(evidenceOf(at))), linkOf(child, evidenceOf(at + 1))], workload: { ...child, expires: NOW + 12 * HOUR - sooner } });
        const granted = grant(by, modest ? ceiling : taken);
        if (granted === undefined) break;
        hops.push(openHop(by, null, granted, NOW, VIEW));
        depth = Math.max(depth, hops.length);
      }
      for (const [at, child] of hops.entries()) {
        for (const [above, ancestor] of hops.slice(0, at).entries()) {
          expect(within(child.ceiling, ancestor.ceiling)).toBe(true);
          expect(child.expiresAt).toBeLessThanOrEqual(ancestor.expiresAt);
          expect(child.path).toEqual(expect.arrayContaining([...ancestor.path]));
          expect(child.chain.slice(0, ancestor.chain.length)).toEqual(withShown(ancestor.chain, evidenceFacts(evidenceOf(above))));
          expect(child.depth).toBe(ancestor.depth + at - hops.indexOf(ancestor));
        }
      }
    }), { numRuns: 150, seed: 4711 });
    expect(depth).toBeGreaterThan(3);
  });

  test('the order of two narrowings does not matter, by one actor or by two', () => {
    let left = 0;
    fc.assert(fc.property(sessions, pairs, pairs, pairs, (in_, asked, one, two) => {
      const root = first(in_, asked);
      if (root === undefined) return;
      // What is left of it, as a renewal goes on with it: an empty remainder is none.
      const keep = (held: readonly CeilingPair[], only: readonly CeilingPair[]): readonly CeilingPair[] => grantEach(callerOf(in_, root, 0, { ceiling: held }), only);
      const [ab, ba] = [keep(keep(root.ceiling, one), two), keep(keep(root.ceiling, two), one)];
      expect(facts(ab)).toEqual(facts(ba));
      expect(within(ab, root.ceiling)).toBe(true);
      left += ab.length;
    }), { numRuns: 150, seed: 4711 });
    expect(left).toBeGreaterThan(20);
  });

  test('asking in other order, twice, or scope by scope gives nothing more', () => {
    fc.assert(fc.property(sessions, pairs, pairs, (in_, asked, more) => {
      const root = first(in_, asked);
      if (root === undefined) return;
      const by = callerOf(in_, root, 0, {});
      const whole = grant(by, more);
      const shuffled = grant(by, [...more, ...more].map(({ audience, scopes }) => ({ audience, scopes: [...scopes, ...scopes].reverse() })).reverse());
      expect(shuffled).toEqual(whole);
      const each = more.flatMap(({ audience, scopes }) => scopes.flatMap((scope) => grant(by, [{ audience, scopes: [scope] }]) ?? []));
      expect(within(each, root.ceiling)).toBe(true);
    }), { numRuns: 100, seed: 4711 });
  });

  type Step = { readonly does: 'spend' | 'renew' | 'renew by id' } | { readonly does: 'hand on'; readonly to: number };
  const steps: fc.Arbitrary<readonly Step[]> = fc.array(fc.oneof(fc.constantFrom<Step>({ does: 'spend' }, { does: 'renew' }, { does: 'renew by id' }), fc.nat(4).map((to): Step => ({ does: 'hand on', to }))), { minLength: 1, maxLength: 8 });
  const actorsIn = (act: ActClaim | undefined): readonly string[] => (act === undefined ? [] : [...actorsIn(act.act), act.sub]);

  test('re-exchange never drops or reorders act: renewal keeps it, taking up adds who takes up', async () => {
    let longest = 0;
    await fc.assert(fc.asyncProperty(sessions, steps, async (in_, taken) => {
      let at = 0;
      let place = openRootHop(in_, newHop({ workload: actor(0), link: linkOf(actor(0), evidenceOf(0)) }), NOW);
      const everybody = [actor(0).spiffeId];
      for (const step of taken) {
        const shows = step.does === 'hand on' ? step.to : at;
        const next: Caller | undefined = await exchangeAgain(in_, place, step.does, shows);
        const mayTakeUp = step.does === 'hand on' && !everybody.includes(actor(shows).spiffeId) && everybody.length + 1 - (in_.model === 'delegated' ? 0 : 1) <= domain.limits.depth;
        // Who stands in the chain already, or one too deep, is refused; nobody else is.
        expect(next === undefined).toBe(step.does === 'hand on' && !mayTakeUp);
        if (next === undefined) continue;
        if (step.does === 'hand on') {
          everybody.push(actor(shows).spiffeId);
          at = shows;
          place = openHop(next, null, next.ceiling ?? [], NOW, VIEW);
        } else expect(joinHop(place, next.hops ?? []).id).toBe(place.id);
        const { sub, act } = subjectOf(in_, next.chain);
        expect(in_.model === 'delegated' ? actorsIn(act) : [sub, ...actorsIn(act)]).toEqual(everybody);
        if (in_.model === 'delegated') expect(sub).toBe(person().urn);
        expect(place.chain.map((link) => link.sub)).toEqual(everybody);
        longest = Math.max(longest, everybody.length);
      }
    }), { numRuns: 150, seed: 4711 });
    expect(longest).toBeGreaterThan(3);
  });

  const exchangeAgain = async (in_: SessionRow, of: HopRow, does: Step['does'], shows: number): Promise<Caller | undefined> => {
    const handed = does === 'hand on';
    const held = standing({ kind: handed ? 'handover_token' : 'session_token', workloadId: of.workloadId, ceiling: of.ceiling }, { session: in_, hop: of });
    const { ports, asking } = startAsking({
      view: VIEW, evidence: evidenceOf(shows), standing: held, session: { session: in_, hops: [of] },
      token: handed ? token({ claims: { may_act: { iss: domain.issuer, sub: actor(shows).spiffeId } } as never }) : token({ clientId: actor(shows).spiffeId }),
    });
    const asked = does === 'renew by id' ? asking({ subjectKind: 'session', subjectToken: in_.id, actorToken: 'evidence' }) : asking({ subjectKind: 'access-token', subjectToken: OWN_TOKEN, actorToken: does === 'spend' ? undefined : 'evidence' });
    const found = does === 'renew by id' ? await bySessionId(ports)(asked, 'evidence') : await bySessionToken(ports)(asked);
    if (does === 'hand on' && !found.ok) expect(['actor_mismatch', 'depth_exceeded']).toContain(found.error.code);
    return does === 'hand on' ? (found.ok ? found.value : undefined) : valueOf(found);
  };
});
