import { isUtf8 } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import type { Request } from 'express';
import { refusal } from '../core/refusal.ts';
import type { Refusal } from '../core/refusal.ts';
import { err, ok } from '../core/result.ts';
import type { Result } from '../core/result.ts';
import type { Form } from '../exchange/request.ts';

/** Larger than any sane request: evidence of 16 KiB, twice, and details of 10 KiB. */
export const FORM_LIMIT = 64 * 1024;
export const FORM_TYPE = 'application/x-www-form-urlencoded';

/**
 * Whether the body is read at all. A packed one is not: unpacked it may be any size, and nobody can bound the work before.
 * What `charset` a sender names is no matter: the bytes of a form are UTF-8 (RFC 6749 appendix B).
 */
export const isPlainForm = ({ headers }: IncomingMessage): boolean =>
  FORM.test(headers['content-type'] ?? '') && /^identity$/i.test(headers['content-encoding'] ?? 'identity');

/** The same for a security event token (RFC 8935 section 2.1). */
export const isPlainSet = ({ headers }: IncomingMessage): boolean =>
  SET.test(headers['content-type'] ?? '') && /^identity$/i.test(headers['content-encoding'] ?? 'identity');

const SET = /^application\/secevent\+jwt[ \t]*(?:;|$)/i;
const FORM = new RegExp(`^${FORM_TYPE}[ \\t]*(?:;|$)`, 'i');

/** All values of every parameter in order, so that repetition can be seen. Nested names (`a[b]`) stay plain names. */
export const readForm = (request: Request): Result<Form, Refusal> => {
  if (request.url.includes('?')) return err(refusal('credential_in_query', 'the request has a query'));
  if (!Buffer.isBuffer(request.body) || !isUtf8(request.body)) return err(refusal('request_malformed', 'the body is not a plain form in UTF-8'));
  const form = new Map<string, string[]>();
  for (const [name, value] of new URLSearchParams(request.body.toString('utf8'))) {
    const values = form.get(name);
    if (values === undefined) form.set(name, [value]);
    else values.push(value);
  }
  return ok(form);
};

/** RFC 6749 section 3.2: a value is a string sent once; empty is absent. */
export const one = (form: Form, name: string): Result<string | undefined, Refusal> => {
  const values = form.get(name) ?? [];
  if (values.length > 1) return err(refusal('parameter_repeated', name));
  return ok(values[0] === '' ? undefined : values[0]);
};
