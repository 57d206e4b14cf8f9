/** Where a listing goes on: behind the row with this time and id, newest first. */
export interface Cursor { readonly at: number; readonly id: string }

/** The caller's cursor is none that a listing gave. */
export class InvalidCursor extends Error {
  constructor() {
    super('the cursor is none that this listing gave; start again without one');
    this.name = 'InvalidCursor';
  }
}

/** Opaque to callers, so that the order of a listing can change. */
export const formatCursor = (cursor: Cursor): string => Buffer.from(`${cursor.at}.${cursor.id}`).toString('base64url');

export const parseCursor = (raw: string): Cursor => {
  const [, at, id] = CURSOR_PATTERN.exec(raw.length > MAX_LENGTH ? '' : Buffer.from(raw, 'base64url').toString()) ?? [];
  if (at === undefined || id === undefined) throw new InvalidCursor();
  return { at: Number(at), id };
};

const MAX_LENGTH = 200;
const CURSOR_PATTERN = /^(\d{1,14})\.([A-Za-z0-9_-]{1,64})$/;
