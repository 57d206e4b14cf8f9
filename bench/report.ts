import Table from 'cli-table3';
import type { Cascaded } from './cascade.ts';
import type { Introspected } from './introspection.ts';
import type { Delay, Row } from './rounds.ts';
import type { Exchanged, Scaled } from './sections.ts';

export interface Report {
  readonly date: string;
  readonly node: string;
  readonly client: string;
  readonly machine: string;
  readonly pinning: string;
  readonly loadBefore: string;
  readonly loadAfter: string;
  readonly options: { readonly seconds: number; readonly rounds: number; readonly connections: number };
  readonly exchange: Exchanged | undefined;
  readonly workers: Exchanged | undefined;
  readonly scale: Scaled | undefined;
  readonly introspection: readonly Introspected[] | undefined;
  readonly revocation: readonly Delay[] | undefined;
  readonly cascade: readonly Cascaded[] | undefined;
}

export const renderReport = (report: Report): string => [
  `${report.machine}, node ${report.node}, client ${report.client}; ${report.pinning}`,
  `load average before ${report.loadBefore}, after ${report.loadAfter}; ${report.options.connections} connections, medians of ${report.options.rounds} rounds of ${report.options.seconds} s in turn`,
  ...(report.exchange === undefined ? [] : [renderExchange(report.exchange)]),
  ...(report.workers === undefined ? [] : [renderRates(report.workers)]),
  ...(report.scale === undefined ? [] : [renderScale(report.scale), renderDelays(report.scale.puts)]),
  ...(report.introspection === undefined ? [] : [renderRows(['', '1/s', 'p50 ms', 'p99 ms'], report.introspection.map((row) => [row.name, round(row.perSecond), row.p50.toFixed(1), row.p99.toFixed(1)]))]),
  ...(report.revocation === undefined || report.revocation.length === 0 ? [] : [renderDelays(report.revocation)]),
  ...(report.cascade === undefined ? [] : [renderCascade(report.cascade), renderMeanwhile(report.cascade)]),
  ...[report.exchange, report.workers, report.scale].flatMap((part) => part?.books ?? []).map(({ name, received, leases, audited }) => `${name}: all ${received} tokens received are leases (${leases} leases, ${audited} audited)`),
  '',
].join('\n');

const round = (value: number): string => String(Math.round(value));
const cost = (row: Row): string => round(1e6 / row.perSecond);
const figures = (row: Row): string[] => [row.name, round(row.perSecond), cost(row), row.cpuEach === undefined ? '-' : round(row.cpuEach), row.p50.toFixed(1), row.p99.toFixed(1)];
const HEAD = ['', '1/s', 'us each', 'CPU us each', 'p50 ms', 'p99 ms'];

const renderExchange = ({ rows }: Exchanged): string => {
  const against = (name: string, row: Row): string => {
    const floor = rows.find((one) => one.name === name);
    return floor === undefined ? '' : (row.perSecond / floor.perSecond).toFixed(2);
  };
  return renderRows([...HEAD, 'of server floor', 'of bare floor'], rows.map((row) => [...figures(row), against('server floor', row), against('bare floor', row)]));
};

const renderRates = ({ rows }: Exchanged): string => renderRows(HEAD, rows.map(figures));

/** Rows come in pairs: few workloads, many workloads. */
const renderScale = ({ rows }: Exchanged): string =>
  renderRows([...HEAD, 'cost against few'], rows.map((row, at) => {
    const few = at % 2 === 1 ? rows[at - 1] : undefined;
    return [...figures(row), few === undefined ? '' : (few.perSecond / row.perSecond).toFixed(2)];
  }));

const renderDelays = (delays: readonly Delay[]): string =>
  renderRows(['', 'times', 'p50 ms', 'p99 ms'], delays.map((row) => [row.name, String(row.count), row.p50.toFixed(1), row.p99.toFixed(1)]));

/** Rows come in pairs: few leases of others, many of them. */
const renderCascade = (rows: readonly Cascaded[]): string =>
  renderRows(['', 'leases', 'hops', 'known after ms', 'done after s', 'us each', 'CPU us each', 'cost against few'], rows.map(({ name, leases, hops, confirmedMs, doneMs, cpuEach }, at) => {
    const few = at % 2 === 1 ? rows[at - 1] : undefined;
    return [name, String(leases), String(hops), round(confirmedMs), (doneMs / 1000).toFixed(1), round((doneMs * 1000) / leases), cpuEach === undefined ? '-' : round(cpuEach), few === undefined ? '' : (doneMs / leases / (few.doneMs / few.leases)).toFixed(2)];
  }));

const renderMeanwhile = (rows: readonly Cascaded[]): string =>
  renderRows(['exchanges of other sessions', '1/s', 'p50 ms', 'p99 ms', 'cascade done after s'], rows.flatMap(({ name, alone, meanwhile, doneUnderLoadMs }) => [
    [name, round(alone.perSecond), alone.p50.toFixed(1), alone.p99.toFixed(1), ''],
    ['... while the cascade goes on', round(meanwhile.perSecond), meanwhile.p50.toFixed(1), meanwhile.p99.toFixed(1), (doneUnderLoadMs / 1000).toFixed(1)],
  ]));

const renderRows = (head: readonly string[], rows: readonly (readonly string[])[]): string => {
  const table = new Table({ head: [...head], style: { head: [], border: [] }, colAligns: head.map((_, at) => (at === 0 ? 'left' : 'right')) });
  table.push(...rows.map((row) => [...row]));
  return table.toString();
};
