/** A pure function of a number that keeps its last answers: one request writes the same few times over and over. */
export const rememberLast = <T>(make: (value: number) => T, size = 64): ((value: number) => T) => {
  const known = new Map<number, T>();
  return (value) => {
    const made = known.get(value);
    if (made !== undefined) return made;
    const fresh = make(value);
    if (known.size >= size) known.clear();
    known.set(value, fresh);
    return fresh;
  };
};
