import { parseOutboundUrl } from '../outbound/url.ts';
import type { UrlFault } from '../outbound/url.ts';
import type { JsonObject } from '../core/json.ts';
import type { Domain, Signals, Stage } from './entries.ts';
import { issuerUrlProblem } from './issuer-url.ts';
import type { Report } from './problem.ts';
import type { Scene } from './scene.ts';
import type { IssuerEntry } from './schemas.ts';
import { settleSet } from './settle-common.ts';

/** Where events for an issuer are pushed to, and by default whom they have to be made out to. */
export const signalsUrl = (domain: Pick<Domain, 'issuer'>, issuer: string): string => `${domain.issuer}/ssf/events/${issuer}`;

/** The `signals` block of an issuer's body; `issuer`: the `iss` of its tokens, as far as that is known. */
export const settleSignals = (entry: IssuerEntry, issuer: string | undefined, domain: Domain, scene: Scene, report: Report): { readonly signals?: JsonObject } => {
  const { signals } = entry;
  if (signals === undefined) return {};
  if (entry.proves === 'admins') report('signals', 'is for issuers that prove people or workloads: admins hold no sessions here', 'remove it');
  const transmitter = signals.transmitter ?? issuer;
  const audience = signals.audience ?? signalsUrl(domain, entry.name);
  const problem = transmitter === undefined ? undefined : issuerUrlProblem(transmitter, domain.stage);
  if (problem !== undefined) report('signals.transmitter', problem.message, problem.mend);
  if (signals.jwks !== undefined && signals.jwks_uri !== undefined) report('signals.jwks_uri', 'names a second source of keys', 'write jwks or jwks_uri');
  for (const [field, why] of urlFaults({ jwksUri: signals.jwks_uri, poll: signals.poll }, domain.stage)) report(`signals.${field}`, why, 'write the https URL as it is called; plain http is for loopback addresses in development domains only');
  checkAudience(audience, entry, domain, scene, report);
  if (transmitter === undefined) return {};
  const settled = {
    transmitter, audience,
    ...(signals.jwks_uri === undefined ? {} : { jwks_uri: signals.jwks_uri }),
    ...(signals.jwks === undefined ? {} : { jwks: signals.jwks as unknown as JsonObject }),
    ...(signals.algorithms === undefined ? {} : { algorithms: settleSet(signals.algorithms, 'signals.algorithms', report) }),
    ...(signals.poll === undefined ? {} : { poll: { endpoint: signals.poll.endpoint, ...(signals.poll.every === undefined ? {} : { every: signals.poll.every }) } }),
    // A transmitter that lets anybody fetch what it knows of people is no good one; a pushed event is believed for its signature.
    authorization: signals.authorization ?? (signals.poll === undefined ? 'none' : 'secret'),
    ...(signals.events === undefined ? {} : { events: signals.events as JsonObject }),
  };
  return { signals: settled };
};

/** Which URLs of a transmitter cannot be called from a domain of this stage, and why not. */
export const urlFaults = ({ jwksUri, poll }: { readonly jwksUri?: string | undefined; readonly poll?: Pick<NonNullable<Signals['poll']>, 'endpoint'> | undefined }, stage: Stage): readonly (readonly [field: string, why: string])[] =>
  ([['jwks_uri', jwksUri], ['poll.endpoint', poll?.endpoint]] as const).flatMap(([field, url]) => {
    const parsed = url === undefined ? undefined : parseOutboundUrl(url, stage === 'development');
    return parsed === undefined || parsed.ok ? [] : [[field, FAULTS[parsed.error]] as const];
  });

const FAULTS: Readonly<Record<UrlFault, string>> = { url_malformed: 'is not a URL in plain form', url_not_https: 'is not an https URL', url_userinfo: 'has user information' };

/** RFC 8417 section 4.7: an event must not be mistaken for a token that opens something, nor the other way round. `typ` keeps them apart, and this does too. */
const checkAudience = (audience: string, entry: IssuerEntry, domain: Domain, scene: Scene, report: Report): void => {
  const isOurs = [...scene.domains.values()].some(({ issuer }) => audience === issuer || audience.startsWith(`${issuer}/`));
  if (isOurs && audience !== signalsUrl(domain, entry.name)) report('signals.audience', `${audience} is what tokens for this installation are made out to`, `remove this line to use ${signalsUrl(domain, entry.name)}`);
};
