import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { createRemoteJWKSet, jwtVerify } from 'jose';
import { freePort } from '../../demo/free-port.ts';

/** A SET that somebody else's library verified. */
export interface ReceivedSet {
  readonly jti: string;
  readonly type: string;
  readonly event: Readonly<Record<string, unknown>>;
  readonly subject: Readonly<Record<string, unknown>>;
  readonly claims: Readonly<Record<string, unknown>>;
  readonly header: Readonly<Record<string, unknown>>;
}

/** How the receiver answers: 202 unless told otherwise. `hang`: never. */
export type ReceiverMode = { readonly status: number; readonly body?: unknown; readonly headers?: Readonly<Record<string, string>> } | 'accept' | 'hang';

/** A receiver of RFC 8935 as another product would have it: jose against the transmitter's published keys, and what came is kept in order. */
export interface SetReceiver {
  readonly url: string;
  /** Every delivery it confirmed, doubles among them. */
  readonly deliveries: ReceivedSet[];
  /** Each event once, by its jti, in the order in which they came first. */
  events(): readonly ReceivedSet[];
  /** Requests as they came, whatever was answered. */
  readonly requests: { readonly headers: IncomingMessage['headers']; readonly method: string | undefined; readonly body: string }[];
  answer(mode: ReceiverMode): void;
  /** Nobody listens any more, and later again at the same address. */
  down(): Promise<void>;
  up(): Promise<void>;
  close(): Promise<void>;
}

export const verifySet = async (set: string, issuer: string, audience: string): Promise<ReceivedSet> => {
  const keys = createRemoteJWKSet(new URL(`${issuer}/jwks.json`), { timeoutDuration: 30_000 });
  const { payload, protectedHeader } = await jwtVerify(set, keys, { issuer, audience, typ: 'secevent+jwt', algorithms: ['ES256'], requiredClaims: ['jti', 'iat', 'events', 'sub_id'] });
  const events = Object.entries(payload['events'] as Record<string, Record<string, unknown>>);
  const [[type, event] = ['', {}]] = events;
  if (events.length !== 1 || payload.sub !== undefined || payload.exp !== undefined) throw new Error('not a SET of the SSF profile');
  return { jti: String(payload.jti), type: type.slice(type.lastIndexOf('/') + 1), event, subject: payload['sub_id'] as Record<string, unknown>, claims: payload, header: { ...protectedHeader } };
};

export const startSetReceiver = async (issuer: string, audience: string): Promise<SetReceiver> => {
  const deliveries: ReceivedSet[] = [];
  const requests: SetReceiver['requests'] = [];
  let mode: ReceiverMode = 'accept';
  let server: Server | undefined;
  const port = await freePort();

  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks).toString();
    requests.push({ headers: request.headers, method: request.method, body });
    const now = mode;
    if (now === 'hang') return;
    if (now !== 'accept') {
      response.writeHead(now.status, { 'content-type': 'application/json', ...now.headers }).end(now.body === undefined ? undefined : JSON.stringify(now.body));
      return;
    }
    const set = await verifySet(body, issuer, audience).catch(() => undefined);
    if (set !== undefined) deliveries.push(set);
    response.writeHead(set === undefined ? 400 : 202).end(set === undefined ? JSON.stringify({ err: 'invalid_request', description: 'not verified' }) : undefined);
  };

  const up = async (): Promise<void> => {
    const started = createServer((request, response) => { handle(request, response).catch(() => { response.destroy(); }); });
    await new Promise<void>((resolve, reject) => {
      started.once('error', reject);
      started.listen(port, '127.0.0.1', resolve);
    });
    server = started;
  };
  const down = async (): Promise<void> => {
    const open = server;
    server = undefined;
    if (open === undefined) return;
    open.closeAllConnections();
    await new Promise((resolve) => { open.close(resolve); });
  };
  await up();
  return {
    url: `http://127.0.0.1:${port}/events`, deliveries, requests, up, down,
    events: () => deliveries.filter(({ jti }, index) => deliveries.findIndex((set) => set.jti === jti) === index),
    answer(next) { mode = next; },
    close: down,
  };
};
