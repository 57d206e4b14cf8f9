/** What was opened, to be let go of in the opposite order, once. */
export interface Stops {
  push(stop: () => Promise<void>): void;
  run(): Promise<void>;
}

export const createStops = (): Stops => {
  const stops: (() => Promise<void>)[] = [];
  return {
    push(stop) { stops.push(stop); },
    async run() {
      for (let stop = stops.pop(); stop !== undefined; stop = stops.pop()) await stop();
    },
  };
};
