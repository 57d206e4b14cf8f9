/** One reason not to start, with the place and the mend. */
export interface StartProblem { readonly path: string; readonly message: string; readonly mend?: string }

/** The server does not start; every reason is told at once. */
export class StartRefused extends Error {
  readonly problems: readonly StartProblem[];
  constructor(problems: readonly StartProblem[], options?: ErrorOptions) {
    super(problems.map(({ path, message }) => `${path}: ${message}`).join('\n'), options);
    this.name = 'StartRefused';
    this.problems = problems;
  }
}
