import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { startForeignIssuer } from '../support/foreign-issuer.ts';
import type { ForeignIssuer } from '../support/foreign-issuer.ts';
import { startMayfly } from '../support/mayfly.ts';
import type { Answer, Mayfly } from '../support/mayfly.ts';
import { claimsOf } from './lab.ts';

interface Block { readonly kind: string; readonly name: string; readonly text: string }
interface Chapter { readonly title: string; readonly blocks: readonly Block[] }

const page = readFileSync(new URL('../../docs/authority.md', import.meta.url), 'utf8');
const chapters: readonly Chapter[] = page.split(/^## /m).slice(1).map((text) => ({
  title: text.slice(0, text.indexOf('\n')),
  blocks: [...text.matchAll(/^```(?:yaml|json|http) (\w+) ?([\w-]*)\n([^]*?)^```$/gm)].map(([, kind = '', name = '', body = '']) => ({ kind, name, text: body })),
})).filter(({ blocks }) => blocks.length > 0);

/** The page's moment; whatever it says of time is meant from there. */
const MOMENT = 1_795_262_400;
const TIMES = new Set(['iat', 'exp', 'auth_time']);

let mayfly: Mayfly;
let signer: ForeignIssuer;
const moment = Math.floor(Date.now() / 1000);
/** Tokens and ids by the name the page gives them. */
const known = new Map<string, string>();

beforeAll(async () => {
  mayfly = await startMayfly();
  signer = await startForeignIssuer();
});
afterAll(async () => {
  await mayfly.close();
  await signer.close();
});

/** The server of this test in place of the page's, which is https and therefore may be production. */
const here = (text: string): string => text.replaceAll('https://sts.acme.example', mayfly.url);
const timed = (claims: Record<string, unknown>): Record<string, unknown> => Object.fromEntries(Object.entries(claims).map(([name, value]) => [name, TIMES.has(name) ? Number(value) - MOMENT + moment : value]));
const named = (text: string): string => text.replaceAll(/<([\w-]+)>/g, (_all, name: string) => known.get(name) ?? `no ${name} yet`);
const read = (text: string): Record<string, unknown> => timed(JSON.parse(here(named(text))) as Record<string, unknown>);

const apply = async (text: string): Promise<void> => {
  const manifest = parse(here(text).replace('stage: production', 'stage: development')) as Record<string, Record<string, unknown>[]>;
  // The page's issuers exist nowhere: their keys are pinned, and everything else is as it stands.
  const issuers = manifest['issuers']?.map((issuer) => ({ ...issuer, jwks: { keys: [signer.key().publicJwk] } }));
  await mayfly.apply(JSON.parse(JSON.stringify({ ...manifest, ...(issuers === undefined ? {} : { issuers }) }).replaceAll('principal.stage == \\"production\\"', 'principal.stage == \\"development\\"')) as object);
};

const send = (text: string): Promise<Answer> => {
  const [head = '', body = ''] = text.trim().split('\n\n');
  const values = body.split('\n').map((line): [string, string] => { const at = line.indexOf('='); return [line.slice(0, at), here(named(line.slice(at + 1)))]; });
  return mayfly.form(head.replace('POST /', ''), values);
};

describe('docs/authority.md', () => {
  test('has an example of each model', () => {
    expect(chapters.map(({ title }) => title.slice(0, title.indexOf(':')))).toEqual(['Delegated', 'Bounded', 'Autonomous']);
    for (const { blocks } of chapters) expect(new Set(blocks.map(({ kind }) => kind))).toEqual(expect.objectContaining(new Set(['manifest', 'token', 'request', 'claims'])));
  });

  test.each(chapters)('$title: holds as it stands', async ({ blocks }) => {
    const answers = new Map<string, Answer>();
    for (const { kind, name, text } of blocks) {
      if (kind === 'manifest') await apply(text);
      else if (kind === 'token') known.set(name, signer.mint(read(text)));
      else if (kind === 'admin') {
        const answer = await mayfly.admin('POST', 'sessions', JSON.parse(text.slice(text.indexOf('\n\n'))));
        expect(answer.status).toBe(201);
        known.set(name, String(answer.body['session']));
      } else if (kind === 'request') {
        // Evidence counts once, and the page shows one token in several requests: each is minted anew.
        for (const block of blocks.filter((each) => each.kind === 'token')) known.set(block.name, signer.mint({ ...read(block.text), jti: `${block.name}-${name}` }));
        const answer = await send(text);
        answers.set(name, answer);
        if (answer.status === 200) known.set(name, String(answer.body['access_token']));
      } else if (kind === 'claims') {
        expect([name, answers.get(name)?.status, answers.get(name)?.body['error_description']]).toEqual([name, 200, undefined]);
        expect(claimsOf(known.get(name) ?? '')).toMatchObject(read(text));
      } else if (kind === 'refused') {
        expect([name, answers.get(name)?.status]).toEqual([name, 400]);
        expect(answers.get(name)?.body).toMatchObject(read(text));
      } else throw new Error(`docs/authority.md has a block of kind ${kind}`);
    }
  });
});
