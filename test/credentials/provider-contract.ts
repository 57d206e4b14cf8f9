import { describe, expect, test } from '@jest/globals';
import { HOUR, MINUTE, SECOND } from '../../src/core/duration.ts';
import type { Refusal } from '../../src/core/refusal.ts';
import type { Result } from '../../src/core/result.ts';
import type { IssuedCredential, Order, Provider } from '../../src/credentials/provider.ts';
import { START } from '../keys/make-ring.ts';
import { domain, makeOrder } from './make-order.ts';

/** One provider with a target that can be asked what a credential is worth. */
export interface ProviderUnderTest {
  readonly provider: Provider;
  readonly options: unknown;
  readonly order: Partial<Order>;
  /** An audience of the wrong form, and one of the right form. */
  readonly audiences: { readonly wrong: string; readonly right: string };
  /** Whether the target honours the credential at a time, for something it is for, and for something beyond what was ordered. */
  honours(credential: IssuedCredential, at: number): Promise<boolean>;
  honoursBeyond(credential: IssuedCredential, at: number): Promise<boolean>;
  /** Takes the signing key away. */
  loseKey(): void;
  /** Ways the target fails; empty for a provider that calls nobody. Each holds a text that no refusal may repeat. */
  readonly outages: readonly { readonly name: string; readonly secret: string; readonly begin: () => void | Promise<void> }[];
  close(): Promise<void>;
}

/** What every provider must hold, whatever it issues. A new kind runs this and adds its own rules. */
export const describeProvider = (kind: string, start: () => Promise<ProviderUnderTest>): void => {
  const withProvider = async (use: (it: ProviderUnderTest) => Promise<void>): Promise<void> => {
    const it = await start();
    try {
      await use(it);
    } finally {
      await it.close();
    }
  };
  const issue = (it: ProviderUnderTest, change: Partial<Order> = {}): Promise<Result<IssuedCredential, Refusal>> => it.provider.issue(makeOrder({ ...it.order, ...change }), it.options);
  const mustIssue = async (it: ProviderUnderTest, change: Partial<Order> = {}): Promise<IssuedCredential> => {
    const issued = await issue(it, change);
    if (!issued.ok) throw new Error(`${issued.error.code}: ${issued.error.detail}`);
    return issued.value;
  };

  describe(`${kind} as a provider`, () => {
    test('has its name, a token type and lifetimes in order', () => withProvider(async ({ provider }) => {
      expect(provider.kind).toBe(kind);
      expect(provider.tokenTypes.length).toBeGreaterThan(0);
      const { minimum, default: usual, maximum } = provider.lifetime;
      expect([minimum, usual, maximum]).toEqual([minimum, usual, maximum].sort((a, b) => a - b));
      await Promise.resolve();
    }));

    test('says whether it calls its target, which asks for the session\'s end before', () => withProvider(async ({ provider, outages }) => {
      expect(provider.callsTarget).toBe(outages.length > 0);
      await Promise.resolve();
    }));

    test('issues what the target honours', () => withProvider(async (it) => {
      const issued = await mustIssue(it);
      expect(it.provider.tokenTypes).toContain(issued.issuedTokenType);
      expect(issued.kind).toBe(it.provider.leaseKind);
      expect(issued.kid).toBeDefined();
      expect(await it.honours(issued, START + SECOND)).toBe(true);
    }));

    test.each([
      { name: 'two seconds', lifetime: 2 * SECOND },
      { name: 'five minutes', lifetime: 5 * MINUTE },
      { name: '15 minutes', lifetime: 15 * MINUTE },
      { name: '20 minutes', lifetime: 20 * MINUTE },
      { name: 'an hour', lifetime: HOUR },
    ])('is honoured for no longer than an order of $name', ({ lifetime }) => withProvider(async (it) => {
      const issued = await mustIssue(it, { expiresAt: START + lifetime, hopExpiresAt: START + 2 * HOUR });
      expect(issued.expiresAt).toBeLessThanOrEqual(START + lifetime);
      expect(issued.expiresAt).toBeGreaterThan(START);
      expect(await it.honours(issued, START + SECOND)).toBe(true);
      expect(await it.honours(issued, START + lifetime)).toBe(false);
    }));

    test('is honoured for no longer than the hop, whatever the order says', () => withProvider(async (it) => {
      const issued = await mustIssue(it, { expiresAt: START + HOUR, hopExpiresAt: START + MINUTE });
      expect(issued.expiresAt).toBeLessThanOrEqual(START + MINUTE);
      expect(await it.honours(issued, START + MINUTE)).toBe(false);
    }));

    test('refuses an order that ends within a second', () => withProvider(async (it) => {
      expect(await issue(it, { expiresAt: START + SECOND - 1 })).toMatchObject({ ok: false, error: { code: 'lifetime_exhausted' } });
      expect(await issue(it, { expiresAt: START + SECOND })).toMatchObject({ ok: true });
    }));

    test('gives nothing beyond what was ordered', () => withProvider(async (it) => {
      const issued = await mustIssue(it);
      expect(await it.honoursBeyond(issued, START + SECOND)).toBe(false);
    }));

    test('refuses when the domain has no key to sign with', () => withProvider(async (it) => {
      it.loseKey();
      expect(await issue(it)).toMatchObject({ ok: false, error: { code: 'domain_not_ready' } });
    }));

    test('takes audiences of its form only', () => withProvider(async (it) => {
      const check = (audience: string): string | undefined => it.provider.check({ audience, scopes: it.order.resource?.scopes ?? [], options: it.options }, it.order.domain ?? domain);
      expect(check(it.audiences.wrong)).toEqual(expect.any(String));
      expect(check(it.audiences.right)).toBeUndefined();
      await Promise.resolve();
    }));

    test('knows every option it is given', () => withProvider(async (it) => {
      expect(it.provider.options.safeParse(it.options).success).toBe(true);
      expect(it.provider.options.safeParse({ ...(it.options as object), surprise: 1 }).success).toBe(false);
      await Promise.resolve();
    }));

    test('turns every failure of the target into a refusal that repeats nothing', () => withProvider(async (it) => {
      for (const { name, secret, begin } of it.outages) {
        await begin();
        const refused = await issue(it);
        expect({ name, refused }).toMatchObject({ name, refused: { ok: false, error: { code: expect.stringMatching(/^provider_/) } } });
        expect(JSON.stringify(refused)).not.toContain(secret);
      }
    }));

    test('says at revocation how long the target goes on', () => withProvider(async (it) => {
      const issued = await mustIssue(it);
      const outcome = await it.provider.revoke?.(issued.handle, { id: makeOrder().leaseId, expiresAt: issued.expiresAt });
      if (outcome?.kind !== 'recorded') return expect(outcome).toEqual({ kind: 'revoked' });
      expect(outcome.honouredUntil).toBe(issued.expiresAt);
      expect(outcome.note).toMatch(/^recorded/);
    }));
  });
};
