import type { Readable } from 'node:stream';
import { Agent, request } from 'undici';
import type { Dispatcher } from 'undici';

const CONNECT_MS = 5_000;
const HEADERS_MS = 30_000;
const BODY_MS = 30_000;

/** Connections of one command; closed at its end, so that none keeps the process alive. */
export const createDispatcher = (socketPath?: string): Agent =>
  new Agent({ connect: { timeout: CONNECT_MS, ...(socketPath === undefined ? {} : { socketPath }) }, headersTimeout: HEADERS_MS, bodyTimeout: BODY_MS });

export interface HttpRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  readonly url: URL;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** Sends one request. Redirects are not followed: what we send may be a credential. */
export const send = async (dispatcher: Dispatcher, { method, url, headers = {}, body }: HttpRequest): Promise<Dispatcher.ResponseData> =>
  request(url, { dispatcher, method, headers, ...(body === undefined ? {} : { body }) });

/** The whole body as text; throws once it is longer than `limit` bytes. */
export const readText = async (body: Readable, limit: number): Promise<string> => {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > limit) throw new Error(`the answer is longer than ${limit} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
};

/** https anywhere; http only where it cannot leave the machine. */
export const isSafeUrl = (url: URL): boolean => url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url.hostname));

const isLoopback = (host: string): boolean => host === 'localhost' || host === '[::1]' || /^127(?:\.\d{1,3}){3}$/.test(host);
