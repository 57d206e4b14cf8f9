import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createChildren } from './children.ts';
import type { Children } from './children.ts';
import type { Step } from './walk.ts';

export interface Play {
  readonly opening: string;
  readonly ending: string;
  /** Throws at the first step that does not hold. */
  readonly work: (children: Children, folder: string, step: Step) => Promise<void>;
  /** What is not a process of its own. */
  readonly close?: () => Promise<void>;
}

/** Plays a demo in a folder of its own and ends whatever it started. The process exits with 1 and the reason where a step did not hold, or it was interrupted. */
export const play = async ({ opening, ending, work, close }: Play): Promise<void> => {
  const interrupted = new Promise<never>((_, reject) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => reject(new Error(`interrupted by ${signal}`)));
  });
  const children = createChildren();
  const folder = mkdtempSync(join(tmpdir(), 'mayfly-demo-'));
  let steps = 0;
  const step: Step = (sentence, ...details) => {
    steps += 1;
    console.log([`${String(steps).padStart(2)}. ${sentence}`, ...details.map((line) => `      ${line}`)].join('\n'));
  };
  try {
    console.log(opening);
    await Promise.race([work(children, folder, step), interrupted]);
    console.log(ending);
  } catch (fault) {
    console.error(`\nThe demo stopped after step ${steps}: ${fault instanceof Error ? fault.message : String(fault)}`);
    process.exitCode = 1;
  } finally {
    await children.endAll();
    await close?.();
    rmSync(folder, { recursive: true, force: true });
  }
};
