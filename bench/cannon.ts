/**
 * Load by autocannon, where wrk is not installed: the same arguments and the same answer as load.lua, in a process of its
 * own. `node bench/cannon.ts URL CONNECTIONS SECONDS PATH BODIES ANSWERS once|again AUTHORIZATION|-`
 */
import { readFileSync, writeFileSync } from 'node:fs';
import autocannon from 'autocannon';
import type { Request } from 'autocannon';

const [url = '', connections = '', seconds = '', path = '', bodiesFile = '', answersFile = '', mode = '', authorization = '-'] = process.argv.slice(2);
const bodies = readFileSync(bodiesFile, 'utf8').trimEnd().split('\n');
const answers: string[] = [];
let used = 0;
let accepted = 0;
let refused = 0;
let exhausted = 0;
let sample = '';

const nextRequest = (request: Request): Request => {
  const body = mode === 'again' ? bodies[used % bodies.length] : bodies[used];
  used += 1;
  if (body !== undefined) return { ...request, body };
  exhausted += 1;
  return { ...request, method: 'GET', path: '/healthz', body: '' };
};

const take = (status: number, body: string): void => {
  if (status !== 200) {
    refused += 1;
    sample = `${status} ${body}`;
    return;
  }
  accepted += 1;
  if (mode === 'once') answers.push(body);
};

const result = await autocannon({
  url, connections: Number(connections), duration: Number(seconds), timeout: 10,
  requests: [{
    method: 'POST', path, setupRequest: nextRequest, onResponse: take,
    headers: { 'content-type': 'application/x-www-form-urlencoded', ...(authorization === '-' ? {} : { authorization }) },
  }],
});
writeFileSync(answersFile, `${answers.join('\n')}\n`);
if (sample !== '') console.error(sample);
const { p50, p90, p99 } = result.latency;
console.log(JSON.stringify({ accepted, refused, exhausted, errors: result.errors, micros: result.duration * 1e6, p50: p50 * 1000, p90: p90 * 1000, p99: p99 * 1000 }));
