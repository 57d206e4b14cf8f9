/** `npm run bench`: what an exchange costs beside its floors. docs/bench.md tells what every row means. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { measureCascade } from './cascade.ts';
import { createLoad } from './load.ts';
import { hasWrk, inspectMachine } from './machine.ts';
import { readOptions } from './options.ts';
import { createPool } from './pool.ts';
import { startPostgres } from './postgres.ts';
import { renderReport } from './report.ts';
import type { Report } from './report.ts';
import { measureIntrospection } from './introspection.ts';
import { measureRevocation } from './revocation.ts';
import { measureExchange, measureScale, measureWorkers } from './sections.ts';
import type { Bench } from './sections.ts';

const options = readOptions(process.argv.slice(2));
const machine = inspectMachine();
const useWrk = hasWrk();
const folder = mkdtempSync(join(tmpdir(), 'mayfly-bench-'));
const postgres = options.engines.includes('postgresql') ? await startPostgres(machine) : undefined;
const say = (line: string): void => { process.stderr.write(`${line}\n`); };
const bench: Bench = { options, machine, folder, postgres, load: createLoad(machine, useWrk), pool: createPool(join(folder, 'pool')), say };

try {
  const report: Report = {
    date: new Date().toISOString(), node: process.version, client: useWrk ? 'wrk' : 'autocannon', machine: `${machine.cores} x ${machine.model}`, pinning: machine.pinning, loadBefore: machine.load(),
    options: { seconds: options.seconds, rounds: options.rounds, connections: options.connections },
    exchange: options.sections.has('exchange') ? await measureExchange(bench) : undefined,
    workers: options.sections.has('workers') ? await measureWorkers(bench) : undefined,
    scale: options.sections.has('scale') ? await measureScale(bench) : undefined,
    introspection: options.sections.has('introspection') ? await measureIntrospection(bench) : undefined,
    revocation: options.sections.has('revocation') ? await measureRevocation(bench) : undefined,
    cascade: options.sections.has('cascade') ? await measureCascade(bench) : undefined,
    loadAfter: machine.load(),
  };
  process.stdout.write(renderReport(report));
  const results = join(import.meta.dirname, 'results');
  mkdirSync(results, { recursive: true });
  const file = join(results, `${report.date.replaceAll(':', '-')}.json`);
  writeFileSync(file, `${JSON.stringify(report, null, 2)}\n`);
  say(`written to ${file}`);
} finally {
  await postgres?.stop();
  rmSync(folder, { recursive: true, force: true });
}
