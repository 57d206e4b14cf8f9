import { z } from 'zod';
import type { Stage } from '../../registry/entries.ts';
import { ok } from '../../core/result.ts';
import type { Attestor } from '../attestor.ts';
import { problemOfIssuerUrl } from '../issuer-url.ts';

export interface MayflyOptions { readonly stage: Stage }

export const stages = ['development', 'staging', 'production'] as const satisfies readonly Stage[];
const options = z.strictObject({
  stage: z.enum(stages).describe('What kind of trust domain it is; a token that says otherwise is refused'),
});

/** Seconds a token lives that leaves a trust domain for another (design: crossing). */
export const CROSSING_SECONDS = 60;

/**
 * Another trust domain, of this installation or of another one. Its tokens are evidence of nobody who asks: they carry a chain of
 * actors across, and who goes on with it shows evidence of its own.
 */
export const mayfly = {
  kind: 'mayfly',
  options,
  issuerAllowed: problemOfIssuerUrl,
  attributeTable: () => ({}),
  profile: () => ({ algorithms: ['ES256'], types: ['at+jwt'], requiredClaims: ['jti', 'client_id', 'sid', 'authority', 'may_act'], maxLifetime: CROSSING_SECONDS, replay: 'once', replayKey: 'jti' }),
  discriminator: () => undefined,
  attributes: () => ok({}),
  anchor: () => undefined,
} as const satisfies Attestor<MayflyOptions>;
