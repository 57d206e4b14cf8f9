import { InvalidArgumentError } from 'commander';

/** What a task may use at most, as the API takes it; or commander's usage error. */
export const parseBudget = (text: string): number => {
  if (!/^[1-9]\d{0,9}$/.test(text) || Number(text) > MOST) throw new InvalidArgumentError(`give a whole number from 1 to ${MOST}`);
  return Number(text);
};

const MOST = 1_000_000_000;
