/** What was opened, to be let go of in the opposite order, once. */
export interface Stops {
  push(stop: () => Promise<void>): void;
  /** Lets go of everything, whatever fails, and throws what failed first. */
  run(): Promise<void>;
}

export const createStops = (): Stops => {
  const stops: (() => Promise<void>)[] = [];
  return {
    push(stop) { stops.push(stop); },
    async run() {
      const failures: unknown[] = [];
      for (let stop = stops.pop(); stop !== undefined; stop = stops.pop()) await stop().catch((cause: unknown) => { failures.push(cause); });
      if (failures.length > 0) throw failures[0];
    },
  };
};
