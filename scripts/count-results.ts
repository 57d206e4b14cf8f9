import { readFileSync } from 'node:fs';

/** What is read of jest's JSON report. */
export interface TestReport { readonly numPassedTests: number; readonly numFailedTests: number; readonly numRuntimeErrorTestSuites: number }

/**
 * Counts of the whole check. A suite that did not load has no failed test of its own and counts as one; so does each
 * failed step (types, lint), and a run in which nothing was tested. The test step itself has failed when a test has, and is not counted twice.
 */
export const countResults = (report: TestReport | undefined, failedSteps: number): { readonly passed: number; readonly failed: number } => {
  const { numPassedTests: passed, numFailedTests, numRuntimeErrorTestSuites } = report ?? { numPassedTests: 0, numFailedTests: 0, numRuntimeErrorTestSuites: 0 };
  const failedTests = numFailedTests + numRuntimeErrorTestSuites;
  const otherSteps = failedTests > 0 ? Math.max(failedSteps - 1, 0) : failedSteps;
  const failed = failedTests + otherSteps;
  return { passed, failed: passed + failed === 0 ? 1 : failed };
};

const readReport = (file: string): TestReport | undefined => {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as TestReport;
  } catch {
    return undefined;
  }
};

if (import.meta.main) {
  const [, , file = '', failedSteps = '1'] = process.argv;
  const { passed, failed } = countResults(readReport(file), Number(failedSteps));
  console.log(`${passed} passed, ${failed} failed`);
  process.exitCode = failed === 0 ? 0 : 1;
}
