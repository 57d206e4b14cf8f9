import { startForeignIssuer } from '../support/foreign-issuer.ts';
import type { Claims, ForeignIssuer } from '../support/foreign-issuer.ts';
import { startMayfly } from '../support/mayfly.ts';
import type { Answer, Mayfly, MayflyOptions } from '../support/mayfly.ts';
import { FAR, OWNER } from '../support/world.ts';

export const API = 'https://api.acme.example';
export const SCOPES = Array.from({ length: 64 }, (_, at) => `s${at}`);
/** Further APIs with as many scopes, all permitted. */
export const MORE_APIS = Array.from({ length: 31 }, (_, at) => `https://api${at}.acme.example`);

/** A server that trusts one generic OIDC issuer whose jobs choose much of what their tokens say: the run they belong to, a note. */
export interface OddWorld {
  readonly mayfly: Mayfly;
  readonly platform: ForeignIssuer;
  evidence(claims?: Claims): string;
  exchange(values?: Readonly<Record<string, string>>): Promise<Answer>;
  close(): Promise<void>;
}

const workload = 'spiffe://dev.127.0.0.1/odd';

export const startOddWorld = async (options: MayflyOptions = {}): Promise<OddWorld> => {
  const platform = await startForeignIssuer();
  const mayfly = await startMayfly(options);
  const of = { domain: 'dev', owner: OWNER, expires: FAR };
  await mayfly.apply({
    issuers: [{ ...of, name: 'odd', kind: 'oidc', issuer: platform.issuer, anchor: 'run', claims: { app: { claim: 'app', immutable: true, required: true }, note: { claim: 'note' } } }],
    resources: [API, ...MORE_APIS].map((audience) => ({ ...of, audience, scopes: SCOPES })),
    workloads: [{ ...of, name: 'odd', kind: 'service', authority: 'bounded', match: { issuer: 'odd', app: 'a1' } }],
    // The time is different in every request, so no answer is remembered from another.
    policies: [API, ...MORE_APIS].map((audience, at) => ({
      ...of, name: `odd-${at}`, cedar: `permit(principal == Workload::"${workload}", action == Action::"issue", resource in Resource::"${audience}") when { context.request.time < datetime("2030-01-01") };`,
    })),
  });
  const evidence: OddWorld['evidence'] = (claims = {}) => platform.mint({ sub: 'job', aud: `${mayfly.url}/dev`, app: 'a1', ...claims });
  return {
    mayfly, platform, evidence,
    exchange: (values = {}) => mayfly.exchange({ subject_token: evidence(), ...values }),
    async close() {
      await mayfly.close();
      await platform.close();
    },
  };
};
