import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { isObject } from '../core/json.ts';
import { sameSecret } from '../core/bytes.ts';

/** A container credentials endpoint for AWS SDKs, which ask it whenever their keys near their end. */
export interface CredentialsEndpoint { readonly url: string; close(): Promise<void> }

export interface EndpointDeps {
  /** What callers send, verbatim, as Authorization. */
  readonly authorization: string;
  /** The answer's JSON, from what is held: SDKs wait one second. Undefined when nothing valid is held. */
  readonly answer: () => string | undefined;
}

const PATH = '/credentials';

/**
 * Serves it on loopback. Other users of the machine lack the token; pages in a browser on it are told apart by what only
 * browsers and proxies send, and by a Host that is not ours (DNS rebinding).
 */
export const startCredentialsEndpoint = async (deps: EndpointDeps): Promise<CredentialsEndpoint> => {
  let ownHost = '';
  const server = createServer({ headersTimeout: 5_000, requestTimeout: 5_000, maxHeaderSize: 8 * 1024 }, (request, response) => {
    respond(response, judge(request, ownHost, deps));
    request.resume();
  });
  server.maxConnections = 64;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  ownHost = `127.0.0.1:${isObject(address) ? String(address['port']) : ''}`;
  return {
    url: `http://${ownHost}${PATH}`,
    close: () => new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    }),
  };
};

interface Answer { readonly status: number; readonly body: string }

const FOREIGN_HEADERS = ['origin', 'x-forwarded-for', 'forwarded', 'via', 'sec-fetch-site'];

const judge = (request: IncomingMessage, ownHost: string, { authorization, answer }: EndpointDeps): Answer => {
  if (request.headers.host !== ownHost) return no(403, 'ForeignHost', 'this endpoint answers under its own address only');
  if (FOREIGN_HEADERS.some((name) => request.headers[name] !== undefined)) return no(403, 'ForeignCaller', 'this endpoint answers neither browsers nor proxies');
  if (!sameSecret(request.headers.authorization ?? '', authorization)) return no(403, 'AccessDenied', 'the authorization token is missing or wrong');
  if (request.method !== 'GET' || request.url !== PATH) return no(404, 'NotFound', 'there is one path here, and it is read');
  const credentials = answer();
  return credentials === undefined ? no(400, 'CredentialsExpired', 'the keys have ended and could not be renewed; see what mayfly exec wrote to stderr') : { status: 200, body: credentials };
};

const no = (status: number, Code: string, Message: string): Answer => ({ status, body: JSON.stringify({ Code, Message }) });

const respond = (response: ServerResponse, { status, body }: Answer): void => {
  response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' });
  response.end(body);
};
