/** True for a value that is a pattern: `*` is its only special character and cannot be written literally. */
export const isGlob = (value: unknown): boolean => typeof value === 'string' && value.includes('*');

/**
 * The one pattern helper: anchored at both ends, `*` is any run of characters but `/` and `:` (so `repo:org*` can never
 * reach into another segment), case-sensitive. Linear in text times pattern, whatever the pattern: no regular expression.
 */
export const matchesGlob = (pattern: string, text: string): boolean => {
  let at = 0;
  let star = -1;
  let resume = 0;
  let index = 0;
  while (index < text.length) {
    if (at < pattern.length && pattern[at] === '*') {
      star = at;
      resume = index;
      at += 1;
    } else if (at < pattern.length && pattern[at] === text[index]) {
      at += 1;
      index += 1;
    } else if (star >= 0 && !isBoundary(text[resume])) {
      // Let the last star take one character more. Earlier stars need no second try: they took the least they could.
      resume += 1;
      index = resume;
      at = star + 1;
    } else {
      return false;
    }
  }
  while (pattern[at] === '*') at += 1;
  return at === pattern.length;
};

const isBoundary = (character: string | undefined): boolean => character === '/' || character === ':';
