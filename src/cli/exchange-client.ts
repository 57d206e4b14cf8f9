import * as oauth from 'oauth4webapi';
import { isObject } from '../core/json.ts';
import { deferralIn, notYetIn } from './deferral.ts';
import type { Deferral, NotYet } from './deferral.ts';
import { badInput, CliError, EXIT, failed } from './errors.ts';
import { isSafeUrl } from './http.ts';
import type { Evidence } from './platform-token.ts';

/** What is asked for with the platform's token (RFC 8693 section 2.1). */
export interface Asked {
  readonly audience?: string | undefined;
  readonly resource?: string | undefined;
  readonly scope?: string | undefined;
  readonly requestedTokenType?: string | undefined;
  /** JSON text (RFC 9396), for a session token with a ceiling. */
  readonly authorizationDetails?: string | undefined;
  readonly clientId?: string | undefined;
}

/** An issued credential, with the response it came in. */
export interface Issued { readonly credential: string; readonly expiresIn: number; readonly response: oauth.TokenEndpointResponse }

/** Mayfly's token endpoint as a client uses it; the protocol is oauth4webapi's. */
export interface ExchangeClient {
  exchange(evidence: Evidence, asked: Asked): Promise<Issued>;
  /** The same, by a caller who can wait for people (`completion_mode=deferred`); wants a key. */
  defer(evidence: Evidence, asked: Asked): Promise<{ readonly kind: 'issued'; readonly issued: Issued } | { readonly kind: 'deferred'; readonly deferral: Deferral }>;
  /** A poll with a deferral code; a "no" is thrown like any other refusal. */
  redeem(code: string): Promise<{ readonly kind: 'issued'; readonly issued: Issued } | NotYet>;
  /** RFC 7009: the credential itself suffices, or the deferral code. */
  revoke(credential: string): Promise<void>;
}

const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const DEFERRED = 'urn:ietf:params:oauth:grant-type:deferred';
const JWT_TYPE = 'urn:ietf:params:oauth:token-type:jwt';
const ACCESS_TOKEN_TYPE = 'urn:ietf:params:oauth:token-type:access_token';
export const AWS_TYPE = 'urn:mayfly:token-type:aws-credentials';
const TIMEOUT_MS = 15_000;
const ANSWER_LIMIT = 256 * 1024;

/** Discovers the issuer (RFC 8414); `keyPair` binds what is issued to a key (RFC 9449). */
export const createExchangeClient = async (issuer: string, keyPair?: oauth.CryptoKeyPair): Promise<ExchangeClient> => {
  const url = parseIssuer(issuer);
  const http = { [oauth.customFetch]: fetchCapped, [oauth.allowInsecureRequests]: url.protocol === 'http:', signal: () => AbortSignal.timeout(TIMEOUT_MS) };
  const server = await said(issuer, async () => oauth.processDiscoveryResponse(url, await oauth.discoveryRequest(url, { ...http, algorithm: 'oauth2' })));
  // The library wants a client; which one this is, the evidence says (design: no clients beside workloads).
  const client: oauth.Client = { client_id: 'shown-by-evidence' };
  const dpop = keyPair === undefined ? undefined : oauth.DPoP(client, keyPair);
  const byEvidence: oauth.ClientAuth = () => undefined;

  const askOnce = async (grant: string, parameters: URLSearchParams): Promise<oauth.TokenEndpointResponse> => {
    const response = await oauth.genericTokenEndpointRequest(server, client, byEvidence, grant, parameters, { ...http, ...(dpop === undefined ? {} : { DPoP: dpop }) });
    return oauth.processGenericTokenEndpointResponse(server, client, response, { recognizedTokenTypes: { n_a: () => undefined } });
  };
  const ask = async (grant: string, parameters: URLSearchParams): Promise<Issued> => {
    const response = await askOnce(grant, parameters).catch((fault: unknown) => {
      // A refusal for want of a nonce consumed nothing: the same evidence is good for the second try (RFC 9449 section 8).
      if (oauth.isDPoPNonceError(fault)) return askOnce(grant, parameters);
      throw fault;
    });
    return { credential: response.access_token, expiresIn: response.expires_in ?? 0, response };
  };
  const requestOf = (asked: Asked): Request => ({ scoped: asked.scope !== undefined || asked.authorizationDetails !== undefined, bound: dpop !== undefined });
  return {
    exchange: (evidence, asked) => said(issuer, () => ask(TOKEN_EXCHANGE, formOf(evidence, asked, issuer)), requestOf(asked)),
    defer(evidence, asked) {
      const form = formOf(evidence, asked, issuer);
      form.set('completion_mode', 'deferred');
      return said(issuer, () => ask(TOKEN_EXCHANGE, form).then((issued) => ({ kind: 'issued' as const, issued }), (fault: unknown) => {
        const deferral = deferralIn(fault);
        if (deferral === undefined) throw fault;
        return { kind: 'deferred' as const, deferral };
      }), requestOf(asked));
    },
    redeem: (code) => said(issuer, () => ask(DEFERRED, new URLSearchParams({ deferral_code: code })).then((issued) => ({ kind: 'issued' as const, issued }), (fault: unknown) => {
      const notYet = notYetIn(fault);
      if (notYet === undefined) throw fault;
      return notYet;
    })),
    async revoke(credential) {
      await said(issuer, async () => oauth.processRevocationResponse(await oauth.revocationRequest(server, client, byEvidence, credential, http)));
    },
  };
};

const parseIssuer = (issuer: string): URL => {
  const url = URL.parse(issuer);
  if (url === null || !isSafeUrl(url)) throw badInput(`${issuer} is no issuer URL`, 'give the https URL of a trust domain (http only for loopback), as `mayfly domain list` shows it');
  return url;
};

const formOf = (evidence: Evidence, { audience, resource, scope, requestedTokenType, authorizationDetails, clientId }: Asked, issuer: string): URLSearchParams => {
  const form = new URLSearchParams({ subject_token: evidence.token, subject_token_type: isOwnToken(evidence.token, issuer) ? ACCESS_TOKEN_TYPE : JWT_TYPE });
  const rest = { audience, resource, scope, requested_token_type: requestedTokenType, authorization_details: authorizationDetails, client_id: clientId };
  for (const [name, value] of Object.entries(rest)) if (value !== undefined) form.set(name, value);
  return form;
};

/** Whether the issuer that is asked made this token itself: then it is a session token, and its type says so (docs/exchange.md). */
const isOwnToken = (token: string, issuer: string): boolean => {
  try {
    const payload: unknown = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8'));
    return isObject(payload) && payload['iss'] === issuer;
  } catch {
    return false;
  }
};

/** `fetch` with a cap: the library reads answers whole. */
const fetchCapped = async (url: string, options: oauth.CustomFetchOptions<string, URLSearchParams | undefined>): Promise<Response> => {
  const { body, signal, ...rest } = options;
  const response = await fetch(url, { ...rest, ...(body === undefined ? {} : { body }), ...(signal === undefined ? {} : { signal }) });
  const answer: ReadableStream<Uint8Array> | null = response.body;
  const chunks: Uint8Array[] = [];
  let size = 0;
  if (answer !== null) for await (const chunk of answer) {
    size += chunk.length;
    if (size > ANSWER_LIMIT) throw new Error(`the answer of ${new URL(url).origin} is longer than ${ANSWER_LIMIT} bytes`);
    chunks.push(chunk);
  }
  const carriesBody = ![204, 205, 304].includes(response.status);
  return new Response(carriesBody ? Buffer.concat(chunks) : null, { status: response.status, headers: response.headers });
};

interface Request { readonly scoped: boolean; readonly bound: boolean }

/** Turns what the library throws into what a person can act on; none of it repeats a token. */
const said = async <T>(issuer: string, work: () => Promise<T>, request: Request = { scoped: true, bound: true }): Promise<T> => {
  try {
    return await work();
  } catch (fault) {
    if (fault instanceof CliError) throw fault;
    if (fault instanceof oauth.ResponseBodyError) throw refused(fault, request);
    if (fault instanceof oauth.OperationProcessingError || fault instanceof oauth.UnsupportedOperationError) throw misanswered(issuer, fault);
    throw new CliError(`cannot reach ${issuer}: ${reasonOf(fault)}`, 'check --issuer or MAYFLY_ISSUER, and that this machine can reach it', EXIT.failed, [], { cause: fault });
  }
};

const misanswered = (issuer: string, fault: oauth.OperationProcessingError | oauth.UnsupportedOperationError): CliError => {
  const { cause } = fault;
  const status = cause instanceof Response ? cause.status : 0;
  const end = (message: string, mend: string): CliError => new CliError(message, mend, EXIT.failed, [], { cause: fault });
  if (status >= 500) return end(`${issuer} cannot answer now (status ${status})`, 'run it again in a little while; an admin sees the reason in the server\'s log, and at /readyz on its admin socket');
  const body = isObject(cause) && isObject(cause['body']) ? cause['body'] : {};
  const what = status === 404 ? `there is no trust domain at ${issuer}` : typeof body['issuer'] === 'string' ? `what answers for ${issuer} calls itself ${body['issuer']}` : `what answers for ${issuer} is not the issuer: ${fault.message}`;
  return end(what, 'give --issuer or MAYFLY_ISSUER to the letter as an admin sees it in `mayfly domain list`');
};

const refused = (fault: oauth.ResponseBodyError, { scoped, bound }: Request): CliError => {
  const body: Record<string, unknown> = isObject(fault.cause) ? fault.cause : {};
  const decision = body['decision_id'];
  const hints = [
    ...(fault.error === 'invalid_target' && !scoped ? ['no --scope was given, so this was about the resource itself and none of its scopes'] : []),
    ...hintsIn(fault.error_description ?? '', bound),
  ];
  return failed(
    `refused (${fault.error})${fault.error_description === undefined ? '' : `: ${fault.error_description}`}`,
    typeof decision === 'string' ? `an admin can ask why: mayfly explain ${decision}` : 'mend what the sentence says; an admin finds more in the audit log',
    [...hints, ...(typeof decision === 'string' ? [`decision: ${decision}`] : [])],
  );
};

const hintsIn = (description: string, bound: boolean): readonly string[] => {
  if (description.includes('completion_mode=deferred')) return ['`--deferred` asks again and waits until somebody agreed'];
  return !bound && description.includes('DPoP proof') ? ['a proof is missing: `--dpop KEY-FILE` sends one'] : [];
};

/** `fetch` says "fetch failed" and keeps the reason in `cause`. */
const reasonOf = (fault: unknown): string => {
  const cause = isObject(fault) && isObject(fault['cause']) ? fault['cause'] : fault;
  if (!isObject(cause)) return String(cause);
  return typeof cause['code'] === 'string' ? cause['code'] : String(cause['message']);
};
