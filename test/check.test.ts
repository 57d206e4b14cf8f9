import { describe, expect, test } from '@jest/globals';
import { countResults } from '../scripts/count-results.ts';
import { toJavaScript } from '../scripts/build.ts';

const report = (passed: number, failed: number, unloaded = 0) => ({ numPassedTests: passed, numFailedTests: failed, numRuntimeErrorTestSuites: unloaded });

describe('the count at the end of the check', () => {
  test.each([
    { name: 'is green when all passed', report: report(10, 0), failedSteps: 0, counts: { passed: 10, failed: 0 } },
    { name: 'counts failed tests once, though their step failed too', report: report(9, 1), failedSteps: 1, counts: { passed: 9, failed: 1 } },
    { name: 'counts a suite that did not load', report: report(10, 0, 1), failedSteps: 1, counts: { passed: 10, failed: 1 } },
    { name: 'counts types or lint that failed', report: report(10, 0), failedSteps: 2, counts: { passed: 10, failed: 2 } },
    { name: 'counts them beside failed tests', report: report(9, 1), failedSteps: 3, counts: { passed: 9, failed: 3 } },
    { name: 'is red when nothing ran', report: report(0, 0), failedSteps: 0, counts: { passed: 0, failed: 1 } },
    { name: 'is red when there is no report', report: undefined, failedSteps: 1, counts: { passed: 0, failed: 1 } },
  ])('$name', ({ report: of, failedSteps, counts }) => {
    expect(countResults(of, failedSteps)).toEqual(counts);
  });
});

describe('the JavaScript of a module', () => {
  test('names the files that stand beside it, in every form of import', () => {
    const built = toJavaScript([
      `import type { A } from './a.ts';`, `import { b } from "./b.ts";`, `export * from '../c.ts';`, `const d = await import('./d.ts');`,
      `const w = new URL('./worker.ts', import.meta.url);`, `const s: string = "import './kept.ts'"; // './kept.ts'`, `import './e.ts';`, `import yaml from 'yaml';`,
    ].join('\n'), 'x.ts');
    expect(built).not.toContain('a.ts');
    expect(built).toContain(`from "./b.js"`);
    expect(built).toContain(`from '../c.js'`);
    expect(built).toContain(`import('./d.js')`);
    expect(built).toContain(`new URL('./worker.js', import.meta.url)`);
    expect(built).toContain(`import './e.js'`);
    expect(built.match(/\.\/kept\.ts/g)).toHaveLength(2);
  });

  test('keeps every line where it was, for stack traces', () => {
    const source = 'interface A { a: string }\n\nexport const b = (c: A): string => c.a;\nthrow new Error();\n';
    expect(toJavaScript(source, 'x.ts').split('\n').findIndex((line) => line.includes('throw'))).toBe(3);
  });
});
