/**
 * Limits that keep a policy within the stack of Cedar's WebAssembly build. Past them it does not answer with an error: it
 * traps, and every later call of the process traps too. Measured on 4.13: records trap at a nesting of 128, `(!(` at 96,
 * chains of `&&` at some 500. A policy at both limits at once stays below (test/policy/nesting.test.ts).
 */
export const MAX_LENGTH = 20_000;
export const MAX_NESTING = 16;
export const MAX_LINKS = 200;

export interface TooDeep { readonly message: string; readonly help: string; readonly offset: number }

/** Undefined when Cedar can take the text. Reads tokens only, so it holds for text that is no valid policy as well. */
export const findTooDeep = (cedar: string): TooDeep | undefined => {
  if (cedar.length > MAX_LENGTH) return { message: `a policy has at most ${MAX_LENGTH} characters`, help: 'split it into several policies', offset: MAX_LENGTH };
  let open = 0;
  let links = 0;
  for (const { 0: token, index } of cedar.matchAll(TOKEN)) {
    if (OPENING.has(token)) open += 1;
    else if (CLOSING.has(token)) open = Math.max(0, open - 1);
    else if (LINK.has(token)) links += 1;
    if (open > MAX_NESTING) return { message: `brackets are nested more than ${MAX_NESTING} deep`, help: 'write the condition flat, or split it into several policies', offset: index };
    if (links > MAX_LINKS) return { message: `more than ${MAX_LINKS} operators`, help: 'split it into several policies, or test membership in a set', offset: index };
  }
  return undefined;
};

/** Strings and comments are matched whole so that what is in them does not count. */
const TOKEN = /"(?:[^"\\]|\\[^])*"|\/\/[^\n\r]*|&&|\|\||==|[()[\]{}.+\-*!@]|\b(?:if|has|when|unless)\b/g;
const OPENING = new Set(['(', '[', '{']);
const CLOSING = new Set([')', ']', '}']);
const LINK = new Set(['&&', '||', '.', '+', '-', '*', '!', '@', 'if', 'has', 'when', 'unless']);
