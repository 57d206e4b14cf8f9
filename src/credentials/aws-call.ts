import { Readable } from 'node:stream';
import { AssumeRoleWithWebIdentityCommand, STSClient } from '@aws-sdk/client-sts';
import type { AssumeRoleWithWebIdentityCommandInput, STSClientConfig } from '@aws-sdk/client-sts';
import { LRUCache } from 'lru-cache';
import { SECOND } from '../core/duration.ts';
import { isObject } from '../core/json.ts';
import { err, ok } from '../core/result.ts';
import type { Result } from '../core/result.ts';
import type { GuardedFetch, OutboundFailure } from '../outbound/fetch.ts';
import { readStsError } from './aws-errors.ts';
import type { StsError } from './aws-errors.ts';

export interface StsTarget {
  readonly region: string;
  readonly endpoint: string;
  /** Set for a custom endpoint of a development domain. */
  readonly loopbackHttp: boolean;
}

/** Temporary keys as STS returned them. */
export interface AwsKeys { readonly accessKeyId: string; readonly secretAccessKey: string; readonly sessionToken: string; readonly expiration: number }
export type StsFailure = { readonly kind: 'refused'; readonly error: StsError } | { readonly kind: 'unreachable'; readonly failure: OutboundFailure } | { readonly kind: 'garbled' };
export type AssumeRole = (target: StsTarget, input: AssumeRoleWithWebIdentityCommandInput) => Promise<Result<AwsKeys, StsFailure>>;

/** For one try, all included. */
export const STS_TIMEOUT = 5 * SECOND;
const MAX_REPLY_BYTES = 64 * 1024;
/** STS is often reached through a VPC interface endpoint. The name is AWS's own and TLS proves it, so its address may be private. */
const VPC_RANGES = ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10', 'fc00::/7'];

/** Calls AssumeRoleWithWebIdentity with AWS's own client, whose bytes leave through the guarded fetch like everyone's. */
export const createAssumeRole = (fetch: GuardedFetch): AssumeRole => {
  const clients = new LRUCache<string, STSClient>({ max: 64, dispose: (client) => client.destroy() });
  const clientFor = (target: StsTarget): STSClient => {
    const name = JSON.stringify([target.endpoint, target.region, target.loopbackHttp]);
    const client = clients.get(name) ?? createClient(target, fetch);
    clients.set(name, client);
    return client;
  };
  return async (target, input) => {
    try {
      return readKeys(await clientFor(target).send(new AssumeRoleWithWebIdentityCommand(input)));
    } catch (error) {
      return err(translate(error));
    }
  };
};

/** Carries an outbound failure through the SDK, which can only throw. */
class StsUnreachable extends Error {
  readonly failure: OutboundFailure;
  constructor(failure: OutboundFailure) {
    super(failure.detail);
    this.name = 'StsUnreachable';
    this.failure = failure;
  }
}

/** Everything the SDK would otherwise take from environment, files or metadata services is said here. */
const createClient = (target: StsTarget, fetch: GuardedFetch): STSClient =>
  new STSClient({
    region: target.region,
    endpoint: target.endpoint,
    requestHandler: createHandler(target, fetch),
    credentials: () => Promise.reject(new Error('AssumeRoleWithWebIdentity is not signed')),
    maxAttempts: 1, // a retry here would show the same token again; ours makes a new one
    retryMode: 'standard',
    defaultsMode: 'standard',
    useDualstackEndpoint: false,
    useFipsEndpoint: false,
    userAgentAppId: 'mayfly',
    authSchemePreference: ['noAuth'],
  });

/** What the SDK hands a request handler, as far as this call uses it. */
interface SdkRequest {
  readonly protocol: string;
  readonly hostname: string;
  readonly port?: number;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

const createHandler = (target: StsTarget, fetch: GuardedFetch): NonNullable<STSClientConfig['requestHandler']> => ({
  metadata: { handlerProtocol: 'http/1.1' },
  async handle(request: SdkRequest) {
    const url = `${request.protocol}//${request.hostname}${request.port === undefined ? '' : `:${request.port}`}${request.path}`;
    const reply = await fetch(url, {
      allowAddresses: target.loopbackHttp ? [] : VPC_RANGES,
      allowLoopbackHttp: target.loopbackHttp,
      maxBytes: MAX_REPLY_BYTES,
      timeoutMs: STS_TIMEOUT,
      accept: 'text/xml, application/xml',
      method: 'POST',
      headers: { 'content-type': request.headers['content-type'] ?? 'application/x-www-form-urlencoded', 'user-agent': request.headers['user-agent'] ?? 'mayfly' },
      body: typeof request.body === 'string' || request.body instanceof Uint8Array ? request.body : '',
    });
    if (!reply.ok) throw new StsUnreachable(reply.error);
    const { status, headers, body } = reply.value;
    return { response: { statusCode: status, headers: { ...headers }, body: Readable.from([body], { objectMode: false }) } };
  },
  updateHttpClientConfig: () => undefined,
  httpHandlerConfigs: () => ({}),
});

const readKeys = ({ Credentials: keys }: { readonly Credentials?: { readonly AccessKeyId?: string | undefined; readonly SecretAccessKey?: string | undefined; readonly SessionToken?: string | undefined; readonly Expiration?: Date | undefined } | undefined }): Result<AwsKeys, StsFailure> => {
  const { AccessKeyId: accessKeyId, SecretAccessKey: secretAccessKey, SessionToken: sessionToken, Expiration: expires } = keys ?? {};
  const expiration = expires?.getTime();
  if (!accessKeyId || !secretAccessKey || !sessionToken || expiration === undefined || !Number.isFinite(expiration)) return err({ kind: 'garbled' });
  return ok({ accessKeyId, secretAccessKey, sessionToken, expiration });
};

const translate = (error: unknown): StsFailure => {
  if (error instanceof StsUnreachable) return { kind: 'unreachable', failure: error.failure };
  const said = readStsError(error);
  if (said !== undefined) return { kind: 'refused', error: said };
  // The SDK read a reply it could not make sense of; anything else is a fault of ours.
  if (isObject(error) && '$response' in error) return { kind: 'garbled' };
  throw error;
};
