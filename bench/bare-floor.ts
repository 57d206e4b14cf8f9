/** The bare floor: express, one signature verified, one made. Nothing of Mayfly. `node bench/bare-floor.ts PORT KEY.pem` */
import { createPublicKey, generateKeyPairSync, randomUUID, sign, verify } from 'node:crypto';
import { readFileSync } from 'node:fs';
import express from 'express';
import { FORM_TYPE } from '../src/http/form.ts';

const [port = '', keyFile = ''] = process.argv.slice(2);
const evidenceKey = createPublicKey(readFileSync(keyFile));
const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
const HEADER = encode({ alg: 'ES256', typ: 'at+jwt', kid: 'bench' });

const app = express();
app.get('/healthz', (_request, response) => { response.json({ status: 'ok' }); });
app.post('/:domain/token', express.text({ type: FORM_TYPE }), (request, response) => {
  const form = new URLSearchParams(String(request.body));
  const [header = '', payload = '', signature = ''] = (form.get('subject_token') ?? '').split('.');
  if (!verify('sha256', Buffer.from(`${header}.${payload}`), evidenceKey, Buffer.from(signature, 'base64url'))) {
    response.status(400).json({ error: 'invalid_request' });
    return;
  }
  const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as { sub: string; exp: number };
  const input = `${HEADER}.${encode({ iss: 'bench', sub: claims.sub, aud: form.get('audience'), exp: claims.exp, jti: randomUUID(), scope: form.get('scope') })}`;
  const token = `${input}.${sign('sha256', Buffer.from(input), { key: privateKey, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`;
  response.json({ access_token: token, token_type: 'Bearer', expires_in: 300 });
});
app.listen(Number(port), '127.0.0.1');
