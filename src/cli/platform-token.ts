import { readFile } from 'node:fs/promises';
import { isObject } from '../core/json.ts';
import type { CliContext } from './context.ts';
import { badInput, failed } from './errors.ts';
import { createDispatcher, isSafeUrl, readText, send } from './http.ts';

/** What a platform says about this job: a token, and where it was found. */
export interface Evidence { readonly token: string; readonly source: string }

export interface EvidenceOptions { readonly subjectTokenFile?: string; readonly subjectTokenEnv?: string }

/** Gets the platform's token; asked again for each exchange, because most tokens are good for one. */
export type FindEvidence = () => Promise<Evidence>;

const GITHUB = { url: 'ACTIONS_ID_TOKEN_REQUEST_URL', token: 'ACTIONS_ID_TOKEN_REQUEST_TOKEN' } as const;
const GITLAB_TOKEN = 'MAYFLY_ID_TOKEN';
const ANSWER_LIMIT = 64 * 1024;

/** Variables that let their holder be this job; a command started by `mayfly exec` gets none of them. */
export const evidenceVariables = ({ subjectTokenEnv }: EvidenceOptions): readonly string[] => [
  GITHUB.url, GITHUB.token, GITLAB_TOKEN, 'CI_JOB_JWT', 'CI_JOB_JWT_V1', 'CI_JOB_JWT_V2', 'MAYFLY_ADMIN_TOKEN', ...(subjectTokenEnv === undefined ? [] : [subjectTokenEnv]),
];

/**
 * Where this job's platform keeps its token: a named file or variable first, then GitHub Actions, then GitLab CI.
 * `audience` is what the token is to be made out to where the platform lets the job say.
 */
export const findEvidence = (context: Pick<CliContext, 'env'>, options: EvidenceOptions, audience: string): FindEvidence => {
  const { env } = context;
  const { subjectTokenFile, subjectTokenEnv } = options;
  if (subjectTokenFile !== undefined && subjectTokenEnv !== undefined) throw badInput('two places for the platform\'s token', 'give --subject-token-file or --subject-token-env, not both');
  if (subjectTokenFile !== undefined) return () => fromFile(subjectTokenFile);
  if (subjectTokenEnv !== undefined) return fromVariable(env, subjectTokenEnv, `set ${subjectTokenEnv}, in GitLab CI with \`id_tokens: { ${subjectTokenEnv}: { aud: ${audience} } }\``);
  const url = env[GITHUB.url];
  const requestToken = env[GITHUB.token];
  if (url !== undefined && requestToken !== undefined) return () => fromGitHub(url, requestToken, audience);
  if (env[GITLAB_TOKEN] !== undefined) return fromVariable(env, GITLAB_TOKEN, '');
  throw badInput('this job shows no token of its platform', whatToDo(env, audience));
};

const whatToDo = (env: CliContext['env'], audience: string): string => {
  if (env['GITHUB_ACTIONS'] === 'true') return 'give the job `permissions: { id-token: write }`; pull requests from forks never get one';
  if (env['GITLAB_CI'] === 'true') return `give the job \`id_tokens: { ${GITLAB_TOKEN}: { aud: ${audience} } }\``;
  return 'run it in GitHub Actions or GitLab CI, or name the token with --subject-token-file or --subject-token-env';
};

const fromFile = async (file: string): Promise<Evidence> => {
  try {
    return { token: nonEmpty(await readFile(file, 'utf8'), file), source: file };
  } catch (fault) {
    if (isObject(fault) && typeof fault['code'] === 'string') throw badInput(`cannot read --subject-token-file ${file}: ${fault['code']}`, 'name the file into which the platform writes its token');
    throw fault;
  }
};

const fromVariable = (env: CliContext['env'], name: string, mend: string): FindEvidence => {
  const token = env[name];
  if (token === undefined) throw badInput(`the variable ${name} is not set`, mend);
  return () => Promise.resolve({ token: nonEmpty(token, name), source: name });
};

const nonEmpty = (text: string, source: string): string => {
  const token = text.trim();
  if (token === '') throw badInput(`${source} is empty`, 'let the platform put its token there');
  return token;
};

/** GitHub Actions: one more parameter on the URL the runner gave, which has a query already; a fresh token every time. */
const fromGitHub = async (requestUrl: string, requestToken: string, audience: string): Promise<Evidence> => {
  const url = URL.parse(requestUrl);
  if (url === null || !isSafeUrl(url)) throw badInput(`${GITHUB.url} is no https URL`, 'leave this variable as the runner sets it');
  url.searchParams.set('audience', audience);
  const dispatcher = createDispatcher();
  try {
    const response = await send(dispatcher, { method: 'GET', url, headers: { authorization: `bearer ${requestToken}`, accept: 'application/json' } });
    const text = await readText(response.body, ANSWER_LIMIT);
    if (response.statusCode !== 200) throw failed(`GitHub gave no token: status ${response.statusCode}`, 'run the job again; if it stays, see githubstatus.com');
    return { token: tokenIn(text), source: 'GitHub Actions' };
  } catch (fault) {
    if (isObject(fault) && typeof fault['code'] === 'string') throw failed(`GitHub's token service cannot be reached: ${fault['code']}`, 'check the runner\'s way out to the network');
    throw fault;
  } finally {
    await dispatcher.destroy();
  }
};

const tokenIn = (text: string): string => {
  const mend = 'run the job again; if it stays, see githubstatus.com';
  let answer: unknown;
  try {
    answer = JSON.parse(text);
  } catch {
    throw failed('GitHub\'s answer is not JSON', mend);
  }
  if (isObject(answer) && typeof answer['value'] === 'string' && answer['value'] !== '') return answer['value'];
  throw failed('GitHub\'s answer holds no token', mend);
};
