import type { StreamId } from '../core/ids.ts';
import type { KeyEncryption } from '../keys/kek.ts';
import { KekError } from '../keys/kek.ts';
import type { StreamRow } from '../store/signal-rows.ts';
import type { StoreReads, StoreWrites } from '../store/store.ts';

/** What a sealed authorization header belongs to: whoever writes another endpoint into the row cannot have it sent there. */
export const authorizationContext = ({ id, endpointUrl }: { readonly id: StreamId; readonly endpointUrl: string | null }): string => `ssf-authorization/${id}/${endpointUrl ?? ''}`;

/** Seals the secrets of all streams under the current key-encryption key; how many. Part of `keys rewrap`. */
export const createRewrapStreams = (deps: { readonly encryption: KeyEncryption; readonly store: Pick<StoreReads, 'streams'> & Pick<StoreWrites, 'rewrapStream'> }) => async (): Promise<number> => {
  let done = 0;
  for (const stream of await deps.store.streams()) {
    const fresh = sealAnew(deps.encryption, stream);
    if (fresh !== undefined && (await deps.store.rewrapStream(stream.id, fresh.was, fresh))) done += 1;
  }
  return done;
};
export type RewrapStreams = ReturnType<typeof createRewrapStreams>;

const sealAnew = (encryption: KeyEncryption, stream: StreamRow): { readonly was: string; readonly sealed: string; readonly kekId: string } | undefined => {
  const { authorization: was, authorizationKekId: kekId } = stream;
  if (was === null || kekId === null || kekId === encryption.currentId) return undefined;
  if (!encryption.has(kekId)) throw new KekError('unknown', `the authorization of event stream ${stream.id} is sealed under key-encryption key ${kekId}, which is not loaded here`);
  const context = authorizationContext(stream);
  return { was, ...encryption.seal(encryption.open({ sealed: was, kekId }, context), context) };
};
