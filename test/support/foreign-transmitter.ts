import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { seconds, systemClock } from '../../src/core/clock.ts';
import type { Clock } from '../../src/core/clock.ts';
import { createSigningKey, signTexts } from './foreign-issuer.ts';
import type { Claims, SigningKey } from './foreign-issuer.ts';
import { listen } from './listen.ts';

/** A Shared Signals transmitter with a key of its own, which puts anything at all into a token. */
export interface ForeignTransmitter {
  /** `iss` of its events. */
  readonly issuer: string;
  readonly jwksUri: string;
  readonly pollUrl: string;
  readonly key: SigningKey;
  /** What was asked of it, as in `GET /tx/jwks`. */
  readonly requests: readonly string[];
  /** Bodies and Authorization headers of polls, in order. */
  readonly polls: readonly { readonly body: Record<string, unknown>; readonly authorization: string | undefined }[];
  /** A token over `iss`, `iat` and a fresh `jti`. A claim or header member set to undefined is left out. */
  mint(claims: Claims, options?: { readonly header?: Claims; readonly key?: SigningKey }): string;
  /** Queues tokens for polls; given again until they are acknowledged or refused. */
  offer(sets: Readonly<Record<string, unknown>>): void;
  /** What is left of them, and what came back. */
  readonly queue: ReadonlyMap<string, unknown>;
  readonly errors: ReadonlyMap<string, unknown>;
  /** How polls are answered from now on. */
  answer(mode: PollMode): void;
  close(): Promise<void>;
}
export type PollMode = 'normal' | 'hang' | 'huge' | 'not-json' | 'array' | 'error' | 'forbidden' | 'redirect' | 'too-many';

export const CAEP = 'https://schemas.openid.net/secevent/caep/event-type/';
export const RISC = 'https://schemas.openid.net/secevent/risc/event-type/';
export const SSF = 'https://schemas.openid.net/secevent/ssf/event-type/';

export const startTransmitter = async ({ clock = systemClock }: { readonly clock?: Clock } = {}): Promise<ForeignTransmitter> => {
  const key = await createSigningKey('ES256', 'tx-1');
  const queue = new Map<string, unknown>();
  const errors = new Map<string, unknown>();
  const polls: { readonly body: Record<string, unknown>; readonly authorization: string | undefined }[] = [];
  let mode: PollMode = 'normal';

  const poll = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = JSON.parse(Buffer.concat(chunks).toString('utf8')) as { readonly maxEvents: number; readonly ack?: readonly string[]; readonly setErrs?: Record<string, unknown> };
    polls.push({ body, authorization: request.headers.authorization });
    if (mode === 'hang') return;
    if (mode === 'error' || mode === 'forbidden') return void response.writeHead(mode === 'error' ? 500 : 403).end('{"sets":{}}');
    if (mode === 'redirect') return void response.writeHead(302, { location: 'http://169.254.169.254/' }).end();
    response.writeHead(200, { 'content-type': 'application/json' });
    if (mode === 'not-json') return void response.end('<html>sign in</html>');
    if (mode === 'array') return void response.end('{"sets":[]}');
    for (const jti of body.ack ?? []) queue.delete(jti);
    for (const [jti, error] of Object.entries(body.setErrs ?? {})) { queue.delete(jti); errors.set(jti, error); }
    // One that cannot count sends all it has, or more than anybody wants.
    const sets = Object.fromEntries([...queue].slice(0, mode === 'too-many' ? queue.size : body.maxEvents));
    const padding = mode === 'huge' && body.maxEvents > 4 ? { padding: 'x'.repeat(1024 * 1024) } : {};
    response.end(JSON.stringify({ sets, moreAvailable: queue.size > Object.keys(sets).length, ...padding }));
  };

  const server = await listen((request, response) => {
    const json = (body: unknown): void => void response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    if (request.url === '/.well-known/ssf-configuration/tx') json({ spec_version: '1_0', issuer, jwks_uri: `${issuer}/jwks`, delivery_methods_supported: ['urn:ietf:rfc:8935', 'urn:ietf:rfc:8936'] });
    else if (request.url === '/tx/jwks') json({ keys: [key.publicJwk] });
    else if (request.url === '/tx/poll' && request.method === 'POST') void poll(request, response);
    else response.writeHead(404).end();
  });
  const issuer = `http://127.0.0.1:${server.port}/tx`;

  return {
    issuer, jwksUri: `${issuer}/jwks`, pollUrl: `${issuer}/poll`, key, requests: server.requests, polls, queue, errors,
    mint(claims, { header, key: signing = key } = {}) {
      return signTexts(JSON.stringify({ typ: 'secevent+jwt', alg: signing.alg, kid: signing.kid, ...header }), JSON.stringify({ iss: issuer, iat: seconds(clock.now()), jti: randomUUID(), ...claims }), signing);
    },
    offer(sets) { for (const [jti, token] of Object.entries(sets)) queue.set(jti, token); },
    answer(next) { mode = next; },
    close: () => server.close(),
  };
};
