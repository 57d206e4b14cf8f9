import type { Provider } from './provider.ts';
import { createAccessTokenProvider } from './providers/access-token.ts';
import type { AccessTokenDeps } from './providers/access-token.ts';
import { createDomainProvider } from './providers/domain.ts';
import { createAwsStsProvider } from './providers/aws-sts.ts';
import type { AwsStsDeps } from './providers/aws-sts.ts';

/** What providers need of the rest; each takes its part. */
export interface ProviderPorts extends AwsStsDeps, AccessTokenDeps {}

/** Every kind of credential. To add one: its file in providers/, and its entry here. */
export const PROVIDERS = [
  { kind: 'access-token', create: createAccessTokenProvider },
  { kind: 'aws-sts', create: createAwsStsProvider },
  { kind: 'domain', create: createDomainProvider },
] as const satisfies readonly ProviderEntry[];
export type ProviderKind = (typeof PROVIDERS)[number]['kind'];

export interface ProviderEntry {
  readonly kind: string;
  readonly create: (ports: ProviderPorts) => Provider;
}

/** All providers by kind. Throws on a kind listed twice or under another name: that stops the boot, before any resource names it. */
export const createProviders = (ports: ProviderPorts, entries: readonly ProviderEntry[] = PROVIDERS): ReadonlyMap<string, Provider> => {
  const byKind = new Map<string, Provider>();
  for (const { kind, create } of entries) {
    const provider = create(ports);
    if (byKind.has(kind)) throw new Error(`provider kind listed twice: ${kind}`);
    if (provider.kind !== kind) throw new Error(`provider ${provider.kind} is listed as ${kind}`);
    if ([...byKind.values()].some(({ leaseKind }) => leaseKind === provider.leaseKind)) throw new Error(`two providers issue leases of kind ${provider.leaseKind}`);
    byKind.set(kind, provider);
  }
  return byKind;
};
