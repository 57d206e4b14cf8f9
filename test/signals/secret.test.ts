import { beforeEach, describe, expect, test } from '@jest/globals';
import { systemRandom } from '../../src/core/random.ts';
import { createKeyEncryption, KekError, parseKek } from '../../src/keys/kek.ts';
import { authorizationContext, createRewrapStreams } from '../../src/signals/secret.ts';
import type { StreamRow } from '../../src/store/signal-rows.ts';
import { makeStream, streamId } from './outbox.ts';

const [old, fresh] = [parseKek(systemRandom.bytes(32)), parseKek(systemRandom.bytes(32))];
const before = createKeyEncryption({ current: old, random: systemRandom });
const both = createKeyEncryption({ current: fresh, old: [old], random: systemRandom });
const after = createKeyEncryption({ current: fresh, random: systemRandom });

let streams: StreamRow[];
const store = {
  streams: () => Promise.resolve(streams),
  rewrapStream: (id: string, was: string, { sealed, kekId }: { readonly sealed: string; readonly kekId: string }) => {
    const index = streams.findIndex((stream) => stream.id === id && stream.authorization === was);
    const found = streams[index];
    if (found !== undefined) streams[index] = { ...found, authorization: sealed, authorizationKekId: kekId };
    return Promise.resolve(found !== undefined);
  },
};
beforeEach(() => {
  const stream = makeStream({ id: streamId('a') });
  const { sealed, kekId } = before.seal(Buffer.from('Bearer s3cret'), authorizationContext(stream));
  streams = [{ ...stream, authorization: sealed, authorizationKekId: kekId }, makeStream({ id: streamId('b') })];
});
const open = (encryption = after): string => {
  const [stream] = streams;
  return encryption.open({ sealed: stream?.authorization ?? '', kekId: stream?.authorizationKekId ?? '' }, authorizationContext(stream ?? makeStream())).toString();
};

describe('keys rewrap', () => {
  test('seals secrets of streams under the current key, once, so that the old one can go', async () => {
    expect(() => open()).toThrow(KekError);
    expect(await createRewrapStreams({ encryption: both, store })()).toBe(1);
    expect(open()).toBe('Bearer s3cret');
    expect(await createRewrapStreams({ encryption: both, store })()).toBe(0);
  });

  test('says what is missing where the key of a secret is not loaded', async () => {
    await expect(createRewrapStreams({ encryption: after, store })()).rejects.toThrow(`authorization of event stream ${streamId('a')} is sealed under key-encryption key ${old.id}`);
    expect(open(before)).toBe('Bearer s3cret');
  });

  test('leaves alone what the receiver changed meanwhile', async () => {
    const [stream = makeStream()] = streams;
    const reading = { ...store, streams: () => {
      const read = Promise.resolve([...streams]);
      streams[0] = { ...stream, authorization: both.seal(Buffer.from('Bearer new'), authorizationContext(stream)).sealed, authorizationKekId: both.currentId };
      return read;
    } };
    expect(await createRewrapStreams({ encryption: both, store: reading })()).toBe(0);
    expect(open()).toBe('Bearer new');
  });
});

test('a secret moved to another stream, or another endpoint, does not open', () => {
  const [stream = makeStream()] = streams;
  const sealed = { sealed: stream.authorization ?? '', kekId: stream.authorizationKekId ?? '' };
  expect(before.open(sealed, authorizationContext(stream)).toString()).toBe('Bearer s3cret');
  for (const moved of [{ ...stream, id: streamId('b') }, { ...stream, endpointUrl: 'https://thief.example/' }]) expect(() => before.open(sealed, authorizationContext(moved))).toThrow(KekError);
});
