import type { Refusal } from '../core/refusal.ts';
import { refusal } from '../core/refusal.ts';
import { err } from '../core/result.ts';
import type { Result } from '../core/result.ts';
import type { IssuedCredential, Order, Provider } from '../credentials/provider.ts';
import type { CeilingPair } from '../store/rows.ts';
import type { Aim } from './aim.ts';
import { TOKEN_TYPE } from './request.ts';

/** All of an order but what it is for. */
export type Ticket = Omit<Order, 'resource' | 'scopes' | 'details'>;

/** Seconds a credential of this target lives, as which token types it can be asked for, and whether the target is called to make it. */
export interface Terms { readonly lifetime: number; readonly tokenTypes: readonly string[]; readonly callsTarget: boolean }

/** How one aim becomes a credential: its terms, and the one call that makes it. */
export interface Mint {
  terms(aim: Aim): Terms;
  issue(ticket: Ticket, aim: Aim, decided: readonly CeilingPair[]): Promise<Result<IssuedCredential, Refusal>>;
}

export interface MintPorts {
  readonly providers: ReadonlyMap<string, Provider>;
  readonly sessionTokenLifetime: number;
  signSessionToken(ticket: Ticket, ceiling: readonly CeilingPair[]): Result<IssuedCredential, Refusal> | Promise<Result<IssuedCredential, Refusal>>;
}

export const createMint = (ports: MintPorts): Mint => ({
  terms(aim) {
    if (aim.kind === 'session') return { lifetime: ports.sessionTokenLifetime, tokenTypes: [TOKEN_TYPE.accessToken], callsTarget: false };
    const provider = ports.providers.get(aim.ask.resource.provider);
    if (provider === undefined) return { lifetime: 0, tokenTypes: [], callsTarget: false };
    const { tokenTypes, callsTarget, lifetime } = provider;
    return { lifetime: Math.min(aim.ask.resource.lifetime ?? lifetime.default, lifetime.maximum), tokenTypes, callsTarget };
  },
  async issue(ticket, aim, decided) {
    if (aim.kind === 'session') return ports.signSessionToken(ticket, decided);
    const { resource } = aim.ask;
    const provider = ports.providers.get(resource.provider);
    if (provider === undefined) return err(refusal('provider_misconfigured', `no provider ${resource.provider}`));
    const { scopes = [], details } = decided[0] ?? {};
    return provider.issue({ ...ticket, resource, scopes, ...(details === undefined ? {} : { details }) }, resource.options);
  },
});
