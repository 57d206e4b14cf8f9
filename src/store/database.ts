export type Engine = 'sqlite' | 'postgresql';

/** Where the registry lives. `url` may carry a password: it is never logged. */
export type Database =
  | { readonly engine: 'sqlite'; readonly path: string }
  | { readonly engine: 'postgresql'; readonly url: string };

/** `postgres://` and `postgresql://` name a PostgreSQL server, `file:` and everything without a scheme an SQLite file. */
export const parseDatabase = (location: string): Database => {
  if (/^postgres(?:ql)?:\/\//.test(location)) return { engine: 'postgresql', url: location };
  const path = location.startsWith('file:') ? location.slice('file:'.length).replace(/^\/\/(?=\/)/, '') : location;
  // An in-memory database would lose every lease and every replay key with its process.
  if (path === '' || path.includes(':memory:') || /^[a-z][a-z0-9+.-]+:/i.test(path)) throw new Error('the database must be a postgresql:// URL or the path of an SQLite file');
  return { engine: 'sqlite', path };
};
