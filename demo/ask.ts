import type { DemoMayfly, Json } from './mayfly.ts';

/** Whoever takes part: Mayfly, the CI platform, AWS. */
export interface Parties {
  readonly mayfly: DemoMayfly;
  readonly platform: { readonly issuer: string; readonly token_endpoint: string; readonly secret: string };
  readonly stsUrl: string;
  readonly role: string;
  /** SPIFFE ID the CI job is registered under. */
  readonly deployer: string;
}

export const API = 'https://deploy.acme.example';

/** What the runner does for a job: its platform's token endpoint makes out a token to Mayfly. */
export const askPlatform = async ({ platform, mayfly }: Parties, job: string): Promise<string> => {
  const response = await fetch(platform.token_endpoint, {
    method: 'POST',
    headers: { authorization: `Basic ${Buffer.from(`${job}:${platform.secret}`).toString('base64')}` },
    body: new URLSearchParams({ grant_type: 'client_credentials', resource: mayfly.issuer }),
    signal: AbortSignal.timeout(15_000),
  });
  return textOf(await response.json() as Json, 'access_token');
};

/** What a step rests on. */
export const hold = (isSo: boolean, otherwise: string): void => {
  if (!isSo) throw new Error(otherwise);
};

export const textOf = (from: Json, member: string): string => {
  const value = from[member];
  if (typeof value === 'string') return value;
  throw new Error(`there is no ${member} in ${JSON.stringify(from)}`);
};

export const object = (from: Json, member: string): Json => {
  const value = from[member];
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Json;
  throw new Error(`there is no ${member} in ${JSON.stringify(from)}`);
};

export const listOf = (from: Json, member: string): readonly Json[] => {
  const value = from[member];
  if (Array.isArray(value)) return value as readonly Json[];
  throw new Error(`there is no list of ${member} in ${JSON.stringify(from)}`);
};

/** Some members, as JSON. */
export const pick = (from: Json, ...members: readonly string[]): string => JSON.stringify(Object.fromEntries(members.map((member) => [member, from[member]])));

const SOME_MONTHS = 180 * 86_400_000;

/** Fills in the places that the first lines of config/demo.yaml name. */
export const fillPlaces = (manifest: string, { mayfly, platform, stsUrl }: Parties): string => {
  const places: Readonly<Record<string, string>> = {
    DEMO_URL: mayfly.url, DEMO_ISSUER: platform.issuer, DEMO_STS: stsUrl, DEMO_EXPIRES: new Date(Date.now() + SOME_MONTHS).toISOString().slice(0, 10),
  };
  return manifest.replaceAll(/\$\{([A-Z_]+)\}/g, (whole, name: string) => places[name] ?? whole);
};
