import { isObject } from '../core/json.ts';
import { badInput, CliError, failed } from './errors.ts';

/** What kept a server from starting, as something a person can act on; what is not known by its code stays as it is. */
export const explainStart = (fault: unknown): unknown => {
  if (fault instanceof CliError || !isObject(fault)) return fault;
  if (Array.isArray(fault['problems'])) return badInput('the configuration is refused', 'mend these places; nothing was started', fault['problems'].map(describeProblem));
  const known = FAULTS.get(String(fault['code']));
  return known === undefined ? fault : known(String(fault['message']), fault);
};

const describeProblem = (problem: unknown): string =>
  isObject(problem) ? [problem['path'], problem['message'], problem['mend']].filter((part) => typeof part === 'string' && part !== '').join(': ') : String(problem);

type Explain = (message: string, fault: Record<string, unknown>) => CliError;
const unreachable: Explain = (message) => failed(`the database cannot be reached: ${message}`, 'start it, or check database_url (DATABASE_URL)');
const refusedUser: Explain = (message) => failed(`the database refuses this user: ${message}`, 'check user and password in database_url (DATABASE_URL)');
const noFolder: Explain = (message) => failed(message, 'name a data_dir that is a folder, or can become one');

/** By codes of Node, SQLite and PostgreSQL (its appendix A). Nothing but the database is called before a server is ready. */
const FAULTS: ReadonlyMap<string, Explain> = new Map<string, Explain>([
  ['EACCES', (message) => failed(message, 'choose a data folder this user may write')],
  ['EEXIST', noFolder], ['ENOTDIR', noFolder],
  ['SQLITE_NOTADB', (message) => failed(`mayfly.db in the data folder is no database: ${message}`, 'put the right file there, or name another data_dir')],
  ['ECONNREFUSED', unreachable], ['ECONNRESET', unreachable], ['ENOTFOUND', unreachable], ['EAI_AGAIN', unreachable], ['ETIMEDOUT', unreachable], ['EHOSTUNREACH', unreachable],
  ['28P01', refusedUser], ['28000', refusedUser],
  ['3D000', (message) => failed(message, 'create the database, or check its name in database_url (DATABASE_URL)')],
  ['42501', (message) => failed(`the database user lacks a right: ${message}`, 'let it create tables in its schema')],
]);
