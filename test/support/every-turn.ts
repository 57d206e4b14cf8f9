/** Does `work` at each turn of the event loop, as whoever waits for this process would be answered, until it is stopped. */
export const everyTurn = (work: () => void = () => undefined): { readonly stop: () => number } => {
  let turns = 0;
  let next = setImmediate(turn);
  function turn(): void {
    turns += 1;
    work();
    next = setImmediate(turn);
  }
  return {
    stop() {
      clearImmediate(next);
      return turns;
    },
  };
};
