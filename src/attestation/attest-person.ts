import type { JWTPayload } from 'jose';
import { seconds } from '../core/clock.ts';
import type { Clock } from '../core/clock.ts';
import { SECOND } from '../core/duration.ts';
import { isObject } from '../core/json.ts';
import { refusal } from '../core/refusal.ts';
import type { Refusal, RefusalCode } from '../core/refusal.ts';
import { err, ok } from '../core/result.ts';
import type { Result } from '../core/result.ts';
import type { Issuer } from '../registry/entries.ts';
import { CLOCK_SKEW, checkPresence, checkTimes, readBinding } from './check-claims.ts';
import type { Envelope, Presented } from './envelope.ts';
import { parsePersonUrn, personUrn } from './person.ts';
import type { Person } from './person.ts';
import type { PreparedIssuer } from './prepare.ts';
import { replayKeyOf } from './replay-key.ts';
import type { VerifyEvidence } from './verify-evidence.ts';

/** The domain a person's token is shown to: its name is part of the person's URN, its issuer URL the audience of access tokens. */
export interface PersonDomain { readonly name: string; readonly issuer: string }
export type AttestPerson = (token: Presented, candidates: (iss: string) => readonly Issuer[], domain: PersonDomain) => Promise<Result<Person, Refusal>>;

/**
 * A person's token: an ID token (OpenID Connect Core section 2) of a listed application, or an access token (RFC 9068) made
 * out to this domain through one. It says who logged in and when; it is never by itself permission to act for them.
 */
export const createAttestPerson = ({ clock, verify, applications = (entry) => entry.audiences ?? [] }: AttestPersonDeps): AttestPerson => async (token, candidates, domain) => {
  const verified = await verify(token, { candidates, purpose: 'people' });
  if (!verified.ok) return verified;
  const { envelope, issuer } = verified.value;
  const now = seconds(clock.now());
  const refused = checkRegistered(envelope.claims, issuer, now);
  if (refused !== undefined) return err(refused);
  const listed = { name: issuer.entry.name, applications: applications(issuer.entry) };
  const application = isAccessToken(envelope) ? findByAccessToken(envelope.claims, listed, domain) : findByIdToken(envelope.claims, listed);
  if (!application.ok) return application;
  return readPerson(envelope, issuer, application.value, domain);
};

/** The application an approver logs in to: nobody presents its tokens for another. */
export const approverApplications = (entry: Issuer): readonly Application[] => (entry.approverClients ?? []).map((clientId) => ({ clientId, presenters: [] }));

/** `applications`: whose tokens count. */
export interface AttestPersonDeps { readonly clock: Clock; readonly verify: VerifyEvidence; readonly applications?: (entry: Issuer) => readonly Application[] }
type Application = NonNullable<Issuer['audiences']>[number];
interface Listed { readonly name: string; readonly applications: readonly Application[] }

const refuse = (code: RefusalCode, detail: string): { readonly ok: false; readonly error: Refusal } => err(refusal(code, detail));

const checkRegistered = (claims: JWTPayload, { entry, profile }: PreparedIssuer, now: number): Refusal | undefined => {
  if (claims.iss !== entry.issuer) return refusal('evidence_issuer_unknown', 'verified iss is not that of the entry');
  const refused = checkTimes(claims, profile.maxLifetime, now) ?? checkPresence(claims, ['auth_time']);
  if (refused !== undefined) return refused;
  const { sub, auth_time: authTime } = claims;
  if (typeof sub !== 'string' || sub === '' || sub.length > MAX_SUBJECT || !sub.isWellFormed()) return refusal('evidence_claim_invalid', `sub is not a text of at most ${MAX_SUBJECT} characters`);
  if (!Number.isSafeInteger(authTime) || Number(authTime) < 0) return refusal('evidence_claim_invalid', 'auth_time is not a NumericDate');
  if (Number(authTime) - CLOCK_SKEW > now) return refusal('evidence_not_yet_valid', 'auth_time lies ahead');
  // Somebody who acts for a person already is no person; who may act is another matter, and binds (RFC 8693 section 4).
  return Object.hasOwn(claims, 'act') ? refusal('evidence_claim_invalid', 'act: a person\'s token speaks for the person, never through another') : undefined;
};

/** OpenID Connect Core section 2: sub has at most 255 ASCII characters. */
const MAX_SUBJECT = 255;

const isAccessToken = ({ header }: Envelope): boolean => /^(?:application\/)?at\+jwt$/i.test(header.typ ?? '');

/** Made out to this domain and nobody else, by an application that is listed (RFC 9068 section 2.2: client_id is required). */
const findByAccessToken = (claims: JWTPayload, entry: Listed, domain: PersonDomain): Result<Application, Refusal> => {
  const audiences = Array.isArray(claims.aud) ? claims.aud : [claims.aud];
  if (audiences.length !== 1 || audiences[0] !== domain.issuer) return refuse('evidence_audience_wrong', `an access token's aud must be exactly ${domain.issuer}`);
  return findListed(claims['client_id'], 'client_id', entry);
};

/** OpenID Connect Core section 3.1.3.7, 3 to 5: the application is azp where it is there, which several audiences demand, and must be one of them. */
const findByIdToken = (claims: JWTPayload, entry: Listed): Result<Application, Refusal> => {
  const audiences: readonly unknown[] = Array.isArray(claims.aud) ? claims.aud : [claims.aud];
  const { azp } = claims;
  if (azp === undefined && audiences.length !== 1) return refuse('evidence_audience_wrong', 'an ID token of several audiences without azp');
  const client = azp === undefined ? audiences[0] : azp;
  if (!audiences.includes(client)) return refuse('evidence_audience_wrong', 'azp is none of the audiences');
  return findListed(client, azp === undefined ? 'aud' : 'azp', entry);
};

const findListed = (client: unknown, claim: string, entry: Listed): Result<Application, Refusal> => {
  const listed = entry.applications.find(({ clientId }) => clientId === client);
  return listed === undefined ? refuse('evidence_audience_wrong', `${claim} is no application listed by issuer ${entry.name}`) : ok(listed);
};

const readPerson = (envelope: Envelope, { entry, attestor, profile, replay }: PreparedIssuer, application: Application, domain: PersonDomain): Result<Person, Refusal> => {
  const { claims } = envelope;
  const subject = String(claims.sub);
  const urn = personUrn(domain.name, entry.name, subject);
  // A name that nobody can write back could be given authority and never have it taken back.
  if (parsePersonUrn(urn) === undefined) return refuse('evidence_claim_invalid', 'sub is too long to be written as a person\'s name');
  const boundTo = readBinding(claims['cnf']);
  if (boundTo === null) return refuse('evidence_claim_invalid', 'cnf binds the token in a way that cannot be checked here');
  const mayAct = readMayAct(claims['may_act']);
  if (mayAct === null) return refuse('evidence_claim_invalid', 'may_act names nobody');
  const attributes = attestor.attributes(claims, entry.options);
  if (!attributes.ok) return attributes;
  const groups = attributes.value['groups'] ?? [];
  if (typeof groups !== 'string' && !isTexts(groups)) return refuse('evidence_claim_invalid', 'groups is not a list of names');
  const { acr, sid } = claims;
  const authTime = Number(claims['auth_time']);
  const replayKey = replayKeyOf(envelope, entry.issuer, claims.jti, profile.replayKey);
  return ok({
    urn, issuerId: entry.id, issuerName: entry.name, iss: entry.issuer, subject,
    groups: typeof groups === 'string' ? [groups] : groups, authTime: authTime * SECOND, acr: typeof acr === 'string' && acr !== '' ? acr : undefined,
    anchor: typeof sid === 'string' && sid !== '' ? `sid.${sid}` : `auth_time.${authTime}`,
    clientId: application.clientId, presenters: application.presenters, mayAct, replayKey: replay === 'once' ? replayKey : undefined,
    expiresAt: Number(claims.exp) * SECOND, boundTo,
  });
};

const isTexts = (value: unknown): value is readonly string[] => Array.isArray(value) && value.every((member) => typeof member === 'string');

const readMayAct = (value: unknown): Person['mayAct'] | null => {
  if (value === undefined) return undefined;
  if (!isObject(value) || typeof value['sub'] !== 'string' || value['sub'] === '') return null;
  const { iss, sub } = value;
  if (iss !== undefined && typeof iss !== 'string') return null;
  return { iss, sub };
};
