import { randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { allows, parsePolicy } from './iam-policy.ts';
import type { IamPolicy } from './iam-policy.ts';
import { StsFault, verifyWebIdentity } from './strict-sts-token.ts';
import type { WebIdentity } from './strict-sts-token.ts';

/**
 * A stand-in for AWS STS that answers AssumeRoleWithWebIdentity and nothing else, with AWS's checks, limits and error shapes:
 * published keys, audience, trust policy, tags, source identity, durations, session policy. For the demo and the tests.
 */
export interface StrictRole {
  readonly arn: string;
  readonly maxSessionDuration?: number;
  /** A trust policy as IAM takes it; `Federated` is `arn:aws:iam::<account>:oidc-provider/<issuer without scheme>`. */
  readonly trust: IamPolicy;
  /** What the role may do; default: everything. */
  readonly permissions?: IamPolicy;
}

export interface StrictStsOptions {
  readonly issuerUrl: string;
  readonly clientIds?: readonly string[];
  readonly roles: readonly StrictRole[];
  readonly clock: { now(): number };
  readonly fetchJson?: (url: string) => Promise<unknown>;
  /** 0 or absent: any free port. */
  readonly port?: number;
}

/** A session it gave out, for what tests and the demo want to see. */
export interface StsSession {
  readonly accessKeyId: string;
  readonly role: StrictRole;
  readonly sessionName: string;
  readonly identity: WebIdentity;
  readonly policy: IamPolicy | undefined;
  readonly durationSeconds: number;
  readonly expiration: number;
}

export interface StrictSts {
  readonly url: string;
  readonly sessions: readonly StsSession[];
  /** Parameters of every call, the token included. */
  readonly calls: readonly URLSearchParams[];
  /** The next call fails so, whatever it asks. */
  failNext(code: string, status?: number, headers?: Readonly<Record<string, string>>): void;
  /** The next call gets these bytes. */
  answerNext(status: number, body: string): void;
  /** Whether AWS would let these keys do it now: role and session policy both allow, and the session has not expired. */
  permits(accessKeyId: string, action: string, resource: string): boolean;
  close(): Promise<void>;
}

interface Scripted { readonly status: number; readonly body: string; readonly headers: Readonly<Record<string, string>> }

export const createStrictSts = async (options: StrictStsOptions): Promise<StrictSts> => {
  const calls: URLSearchParams[] = [];
  const sessions: StsSession[] = [];
  const scripted: Scripted[] = [];
  const server = createServer((request, response) => {
    answer(request, options, calls, sessions, scripted).then(
      (reply) => send(response, reply),
      (error: unknown) => send(response, errorReply(error instanceof StsFault ? error : new StsFault('InternalFailure', 'internal', 500))),
    );
  });
  server.listen(options.port ?? 0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    sessions,
    calls,
    failNext: (code, status = 400, headers = {}) => void scripted.push({ ...errorReply(new StsFault(code, `scripted ${code}`, status)), headers }),
    answerNext: (status, body) => void scripted.push({ status, body, headers: {} }),
    permits: (accessKeyId, action, resource) => permits(sessions, accessKeyId, action, resource, options.clock.now()),
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
};

const answer = async (request: IncomingMessage, options: StrictStsOptions, calls: URLSearchParams[], sessions: StsSession[], scripted: Scripted[]): Promise<Scripted> => {
  const form = await readForm(request);
  calls.push(form);
  const planned = scripted.shift();
  if (planned !== undefined) return planned;
  if (form.get('Action') !== 'AssumeRoleWithWebIdentity' || form.get('Version') !== '2011-06-15') throw new StsFault('InvalidAction', 'Could not find operation');
  const session = await assumeRole(form, options);
  sessions.push(session);
  return { status: 200, body: successXml(session, options), headers: {} };
};

const readForm = async (request: IncomingMessage): Promise<URLSearchParams> => {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const type = request.headers['content-type'] ?? '';
  if (request.method !== 'POST' || request.url !== '/' || !type.startsWith('application/x-www-form-urlencoded')) throw new StsFault('MalformedQueryString', 'not a query request');
  if (request.headers.authorization !== undefined) throw new StsFault('SignatureDoesNotMatch', 'this call is not signed', 403);
  return new URLSearchParams(Buffer.concat(chunks).toString('utf8'));
};

const KNOWN = new Set(['Action', 'Version', 'RoleArn', 'RoleSessionName', 'WebIdentityToken', 'DurationSeconds', 'Policy']);

const assumeRole = async (form: URLSearchParams, options: StrictStsOptions): Promise<StsSession> => {
  const strange = [...form.keys()].find((name) => !KNOWN.has(name) || form.getAll(name).length > 1);
  if (strange !== undefined) throw new StsFault('ValidationError', `${strange} is not expected here`);
  const sessionName = checked(form, 'RoleSessionName', /^[\w+=,.@-]{2,64}$/);
  const roleArn = checked(form, 'RoleArn', /^[\u0021-\u007e]{20,2048}$/);
  const token = checked(form, 'WebIdentityToken', /^[^]{4,20000}$/);
  const durationSeconds = Number(checked(form, 'DurationSeconds', /^\d{1,6}$/, '3600'));
  if (durationSeconds < 900 || durationSeconds > 43_200) throw new StsFault('ValidationError', '1 validation error detected: Value at \'durationSeconds\' failed to satisfy constraint');
  const policy = readPolicy(form.get('Policy'));

  const now = options.clock.now();
  const identity = await verifyWebIdentity(token, { issuerUrl: options.issuerUrl, clientIds: options.clientIds ?? ['sts.amazonaws.com'], fetchJson: options.fetchJson ?? fetchJson }, now);
  const role = options.roles.find(({ arn }) => arn === roleArn);
  // AWS does not tell a missing role from a closed one.
  if (role === undefined) throw new StsFault('AccessDenied', 'Not authorized to perform sts:AssumeRoleWithWebIdentity', 403);
  checkTrust(role, identity, sessionName, options.issuerUrl);
  if (durationSeconds > (role.maxSessionDuration ?? 3600)) throw new StsFault('ValidationError', 'The requested DurationSeconds exceeds the MaxSessionDuration set for this role.');
  if (packedSize(form.get('Policy'), identity) > 100) throw new StsFault('PackedPolicyTooLarge', 'Packed size of session tags consumes more than 100% of allotted space.');
  return { accessKeyId: `ASIA${randomBytes(8).toString('hex').toUpperCase()}`, role, sessionName, identity, policy, durationSeconds, expiration: Math.floor(now / 1000) * 1000 + durationSeconds * 1000 };
};

const checked = (form: URLSearchParams, name: string, pattern: RegExp, fallback?: string): string => {
  const value = form.get(name) ?? fallback;
  if (value === undefined || !pattern.test(value)) throw new StsFault('ValidationError', `1 validation error detected: Value at '${name}' failed to satisfy constraint`);
  return value;
};

const readPolicy = (text: string | null): IamPolicy | undefined => {
  if (text === null) return undefined;
  if (text.length > 2048) throw new StsFault('ValidationError', '1 validation error detected: Value at \'policy\' failed to satisfy constraint: Member must have length less than or equal to 2048');
  try {
    const policy = parsePolicy(text);
    if (policy.Statement.some((statement) => 'Principal' in statement)) throw new Error('Principal');
    return policy;
  } catch {
    throw new StsFault('MalformedPolicyDocument', 'Syntax errors in policy.');
  }
};

/** Every action the call implies must be allowed by the trust policy, or all of it fails. */
const checkTrust = (role: StrictRole, identity: WebIdentity, sessionName: string, issuerUrl: string): void => {
  const host = issuerUrl.replace(/^https?:\/\//, '');
  const context = new Map([
    [`${host}:aud`.toLowerCase(), identity.audience], [`${host}:sub`.toLowerCase(), identity.subject], ['sts:rolesessionname', sessionName],
    ...(identity.sourceIdentity === undefined ? [] : [['sts:sourceidentity', identity.sourceIdentity] as const]),
    ...Object.entries(identity.tags).map(([key, value]) => [`aws:requesttag/${key.toLowerCase()}`, value] as const),
  ]);
  const federated = `arn:aws:iam::${role.arn.split(':')[4] ?? ''}:oidc-provider/${host}`;
  const needed = ['sts:AssumeRoleWithWebIdentity', ...(Object.keys(identity.tags).length > 0 ? ['sts:TagSession'] : []), ...(identity.sourceIdentity === undefined ? [] : ['sts:SetSourceIdentity'])];
  const missing = needed.find((action) => !allows(role.trust, { action, resource: undefined, federated, context }));
  if (missing !== undefined) throw new StsFault('AccessDenied', `Not authorized to perform ${missing}`, 403);
};

/** AWS packs in a way it does not tell; what matters is that policy and tags share one limit. */
const packedSize = (policy: string | null, { tags }: WebIdentity): number => Math.ceil(((policy?.length ?? 0) + JSON.stringify(tags).length) / 40);

const permits = (sessions: readonly StsSession[], accessKeyId: string, action: string, resource: string, now: number): boolean => {
  const session = sessions.find((candidate) => candidate.accessKeyId === accessKeyId);
  if (session === undefined || now >= session.expiration) return false;
  const context = new Map([['aws:currenttime', new Date(now).toISOString()], ...Object.entries(session.identity.tags).map(([key, value]) => [`aws:principaltag/${key.toLowerCase()}`, value] as const)]);
  const request = { action, resource, context };
  return allows(session.role.permissions ?? EVERYTHING, request) && (session.policy === undefined || allows(session.policy, request));
};
const EVERYTHING: IamPolicy = { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: '*', Resource: '*' }] };

const fetchJson = async (url: string): Promise<unknown> => {
  const response = await fetch(url, { redirect: 'error', signal: AbortSignal.timeout(5000) });
  if (!response.ok) throw new Error(`http ${response.status}`);
  return response.json();
};

const NAMESPACE = 'https://sts.amazonaws.com/doc/2011-06-15/';
const escapeXml = (text: string): string => text.replace(/[<>&'"]/g, (character) => `&#${character.charCodeAt(0)};`);
const element = (name: string, content: string): string => `<${name}>${escapeXml(content)}</${name}>`;

const successXml = (session: StsSession, options: StrictStsOptions): string => {
  const { identity, role, sessionName } = session;
  const roleName = role.arn.split('/').at(-1) ?? '';
  const credentials = element('AccessKeyId', session.accessKeyId) + element('SecretAccessKey', randomBytes(30).toString('base64')) + element('SessionToken', randomBytes(96).toString('base64')) + element('Expiration', new Date(session.expiration).toISOString());
  const user = element('Arn', `arn:aws:sts::${role.arn.split(':')[4] ?? ''}:assumed-role/${roleName}/${sessionName}`) + element('AssumedRoleId', `AROATESTTESTTESTTEST:${sessionName}`);
  return `<AssumeRoleWithWebIdentityResponse xmlns="${NAMESPACE}"><AssumeRoleWithWebIdentityResult><Credentials>${credentials}</Credentials><AssumedRoleUser>${user}</AssumedRoleUser>`
    + element('SubjectFromWebIdentityToken', identity.subject) + element('Audience', identity.audience) + element('Provider', options.issuerUrl)
    + (identity.sourceIdentity === undefined ? '' : element('SourceIdentity', identity.sourceIdentity))
    + `</AssumeRoleWithWebIdentityResult><ResponseMetadata>${element('RequestId', randomUUID())}</ResponseMetadata></AssumeRoleWithWebIdentityResponse>`;
};

const errorReply = (fault: StsFault): Scripted => ({
  status: fault.status,
  body: `<ErrorResponse xmlns="${NAMESPACE}"><Error><Type>Sender</Type>${element('Code', fault.code)}${element('Message', fault.message)}</Error>${element('RequestId', randomUUID())}</ErrorResponse>`,
  headers: {},
});

const send = (response: ServerResponse, { status, body, headers }: Scripted): void => void response.writeHead(status, { 'content-type': 'text/xml', ...headers }).end(body);
