import { parseArgs } from 'node:util';
import { EXTRA_POLICIES } from './scenery.ts';
import type { ExtraPolicy } from './scenery.ts';

export const ENGINES = ['sqlite', 'postgresql'] as const;
export type Engine = (typeof ENGINES)[number];
export const SECTIONS = ['exchange', 'workers', 'scale', 'introspection', 'revocation', 'cascade'] as const;
export type Section = (typeof SECTIONS)[number];

export interface Options {
  readonly engines: readonly Engine[];
  readonly sections: ReadonlySet<Section>;
  /** Rows with one dearer policy each. */
  readonly extras: readonly ExtraPolicy[];
  readonly seconds: number;
  readonly rounds: number;
  readonly connections: number;
  /** Workloads of the small and of the large registry. */
  readonly small: number;
  readonly large: number;
  /** Leases of the session tree that is revoked, beside as many and ten times as many of others. */
  readonly tree: number;
  /** Folder for CPU profiles of the measured nodes; '' for none. */
  readonly profile: string;
}

const USAGE = `npm run bench -- [--engine sqlite|postgresql] [--only ${SECTIONS.join('|')}] [--seconds 8] [--rounds 3] [--connections 64] [--large 100000] [--tree 100000] [--profile FOLDER] [--plain] [--quick]
--engine and --only may be repeated; --plain: without the rows of dearer policies; --quick: one round of two seconds, 10,000 workloads and a tree of 1,000 leases, to see that it runs.`;

export const readOptions = (argv: readonly string[]): Options => {
  const { values } = parse(argv);
  if (values.help) usage();
  const quick = values.quick;
  return {
    engines: choose(values.engine, ENGINES), sections: new Set(choose(values.only, SECTIONS)),
    extras: values.plain ? [] : Object.keys(EXTRA_POLICIES) as ExtraPolicy[],
    seconds: count(values.seconds, quick ? 2 : 8), rounds: count(values.rounds, quick ? 1 : 3), connections: count(values.connections, 64),
    small: 100, large: count(values.large, quick ? 10_000 : 100_000), tree: count(values.tree, quick ? 1_000 : 100_000), profile: values.profile ?? '',
  };
};

const parse = (argv: readonly string[]) => {
  try {
    return parseArgs({
      args: [...argv],
      options: {
        engine: { type: 'string', multiple: true }, only: { type: 'string', multiple: true }, seconds: { type: 'string' }, rounds: { type: 'string' }, connections: { type: 'string' },
        large: { type: 'string' }, tree: { type: 'string' }, profile: { type: 'string' }, quick: { type: 'boolean', default: false }, plain: { type: 'boolean', default: false }, help: { type: 'boolean', default: false },
      },
    });
  } catch (cause) {
    return usage(cause instanceof Error ? cause.message : undefined);
  }
};

const choose = <T extends string>(asked: readonly string[] | undefined, known: readonly T[]): readonly T[] => {
  if (asked === undefined) return known;
  const unknown = asked.find((name) => !known.some((one) => one === name));
  return unknown === undefined ? known.filter((one) => asked.includes(one)) : usage(`${unknown} is none of ${known.join(', ')}`);
};

const count = (raw: string | undefined, otherwise: number): number => {
  if (raw === undefined) return otherwise;
  const value = Number(raw);
  return Number.isSafeInteger(value) && value > 0 ? value : usage(`${raw} is no count`);
};

const usage = (problem?: string): never => {
  process.stderr.write(`${problem === undefined ? '' : `${problem}\n`}${USAGE}\n`);
  process.exit(problem === undefined ? 0 : 2);
};
