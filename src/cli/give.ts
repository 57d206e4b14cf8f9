import { join } from 'node:path';
import { base64url } from '../core/bytes.ts';
import { SECOND } from '../core/duration.ts';
import { systemRandom } from '../core/random.ts';
import { containerAnswer, parseAwsCredentials } from './aws-credentials.ts';
import type { CliContext } from './context.ts';
import { tell } from './context.ts';
import { startCredentialsEndpoint } from './credentials-endpoint.ts';
import { AWS_TYPE } from './exchange-client.ts';
import type { Asked, ExchangeClient, Issued } from './exchange-client.ts';
import { keepFresh } from './keep-fresh.ts';
import type { Fresh, FreshDeps } from './keep-fresh.ts';
import type { FindEvidence } from './platform-token.ts';
import type { PrivateFolder } from './private-folder.ts';
import { obtainAgreed } from './wait-for-approval.ts';

/** One credential on its way to a command: how the command finds it, and how it ends. */
export interface Given {
  readonly kind: 'token' | 'aws';
  readonly variables: Readonly<Record<string, string>>;
  readonly first: Issued;
  /** Ends renewing; gives what is left to revoke. */
  stop(): Promise<readonly Issued[]>;
}

export interface Giving {
  readonly context: CliContext;
  readonly client: ExchangeClient;
  readonly evidence: FindEvidence;
  readonly folder: PrivateFolder;
  readonly clientId: string | undefined;
  /** Waits for people where they have to agree first. */
  readonly deferred: boolean;
}

const TOKEN_FILE = 'token';
/** SDKs want 10 minutes left of keys that live 15 at least. */
const RENEW_AWS_AFTER = 1 / 3;
const RENEW_TOKEN_AFTER = 1 / 2;

/** A token in a file (0600) that MAYFLY_TOKEN_FILE names. */
export const giveToken = async (giving: Giving, audience: string, scope: string | undefined): Promise<Given> => {
  const { folder, clientId } = giving;
  const fresh = await keep(giving, { audience, scope, clientId }, RENEW_TOKEN_AFTER, async ({ credential }) => { await folder.write(TOKEN_FILE, credential, 0o600); });
  return { kind: 'token', variables: { MAYFLY_TOKEN_FILE: join(folder.path, TOKEN_FILE) }, first: fresh.first, stop: () => fresh.stop() };
};

/** AWS keys from a container credentials endpoint; or, `asVariables`, nothing but the keys themselves, since plain variables win over the endpoint. */
export const giveAwsKeys = async (giving: Giving, role: string, asVariables: boolean): Promise<Given> => {
  const asked = { audience: role, requestedTokenType: AWS_TYPE, clientId: giving.clientId };
  const check = ({ credential }: Issued): void => { parseAwsCredentials(credential); };
  if (asVariables) {
    const fresh = await keep(giving, asked, RENEW_AWS_AFTER, check);
    return { kind: 'aws', variables: {}, first: fresh.first, stop: () => fresh.stop() };
  }
  let fresh: Fresh | undefined;
  const door = await openDoor(giving.folder, () => answerOf(fresh));
  try {
    fresh = await keep(giving, asked, RENEW_AWS_AFTER, check);
  } catch (fault) {
    await door.close();
    throw fault;
  }
  const { first, stop } = fresh;
  return { kind: 'aws', first, variables: door.variables, stop: async () => door.close().then(stop) };
};

interface Door { readonly variables: Readonly<Record<string, string>>; readonly close: () => Promise<void> }

const openDoor = async (folder: PrivateFolder, answer: () => string | undefined): Promise<Door> => {
  const authorization = base64url(systemRandom.bytes(32));
  // Without a line end: SDKs send the file's content as it is.
  const file = await folder.write('aws-authorization', authorization, 0o400);
  const empty = await folder.write('aws-no-shared-credentials', '', 0o400);
  const endpoint = await startCredentialsEndpoint({ authorization, answer });
  return {
    variables: { AWS_CONTAINER_CREDENTIALS_FULL_URI: endpoint.url, AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: file, AWS_SHARED_CREDENTIALS_FILE: empty },
    close: () => endpoint.close(),
  };
};

const keep = ({ context, client, evidence, deferred }: Giving, asked: Asked, renewAfter: number, onFresh: FreshDeps['onFresh']): Promise<Fresh> => {
  let agreed: boolean | undefined = deferred ? undefined : false;
  const obtain = async (): Promise<Issued> => {
    // People are asked before the command runs, never while it does.
    if (agreed !== undefined) return client.exchange(await evidence(), asked);
    const obtained = await obtainAgreed(context, client, await evidence(), asked);
    agreed = obtained.agreed;
    if (agreed) tell(context, `warning: people agreed to one credential for ${asked.audience ?? ''}: it is not renewed and ends at ${new Date(context.clock.now() + obtained.issued.expiresIn * SECOND).toISOString()}`);
    return obtained.issued;
  };
  return keepFresh({
    clock: context.clock, schedule: (milliseconds, work) => (agreed === true ? () => undefined : context.schedule(milliseconds, work)), renewAfter, onFresh, obtain,
    discard: ({ credential }) => client.revoke(credential),
    onTrouble: (fault, until) => tell(context, `warning: the credential for ${asked.audience ?? ''} could not be renewed and ends at ${new Date(until).toISOString()}: ${fault instanceof Error ? fault.message : String(fault)}`),
  });
};

const answerOf = (fresh: Fresh | undefined): string | undefined => {
  const current = fresh?.current();
  return current === undefined ? undefined : containerAnswer(parseAwsCredentials(current.credential));
};
