import type { Clock } from '../core/clock.ts';
import { newId, parseId } from '../core/ids.ts';
import type { StreamId } from '../core/ids.ts';
import type { JsonObject } from '../core/json.ts';
import type { Random } from '../core/random.ts';
import { refusal } from '../core/refusal.ts';
import type { Refusal } from '../core/refusal.ts';
import { err, ok } from '../core/result.ts';
import type { Result } from '../core/result.ts';
import type { KeyEncryption } from '../keys/kek.ts';
import type { Workload } from '../registry/entries.ts';
import type { DomainView } from '../snapshot/domain-view.ts';
import type { StreamChoice, StreamRow, StreamStatus } from '../store/signal-rows.ts';
import type { StoreReads, StoreWrites } from '../store/store.ts';
import type { Drafting } from './draft.ts';
import { STREAM_UPDATED, VERIFICATION } from './events.ts';
import { EXCLUDED_PER_STREAM, MOST_WAITING, REMOVAL_GRACE, STREAMS_PER_WORKLOAD, VERIFICATION_INTERVAL } from './limits.ts';
import { authorizationContext } from './secret.ts';
import { readConfiguration, showStatus, showStream } from './stream.ts';
import type { Change, ConfigurationRules } from './stream.ts';
import { opaque, parseSubject, subjectKey } from './subjects.ts';

/** Who asks: a workload with a token for this domain's streams. */
export interface Receiver { readonly view: DomainView; readonly workload: Workload }
type Shown = Readonly<Record<string, unknown>>;

export interface ManageDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly encryption: Pick<KeyEncryption, 'seal'>;
  readonly allowAddresses: readonly string[];
  readonly encode: Drafting['encode'];
  readonly store: Pick<StoreReads, 'stream' | 'streams'>
    & Pick<StoreWrites, 'append' | 'createStream' | 'chooseStream' | 'setStreamStatus' | 'deleteStream' | 'verifyStream' | 'excludeSubject' | 'includeSubject' | 'enqueue'>;
}

/** Stream management (SSF 1.0 section 8.1). A stream is its workload's: to everybody else it does not exist. */
export const createManage = (deps: ManageDeps) => {
  const { store, clock } = deps;

  const audit = (receiver: Receiver, action: string, id: StreamId, body: JsonObject = {}): Promise<void> =>
    store.append({ at: clock.now(), action, domainId: receiver.view.domain.id, body: { stream: id, by: receiver.workload.spiffeId, ...body } });

  const find = async ({ view, workload }: Receiver, raw: unknown): Promise<Result<StreamRow, Refusal>> => {
    const id = typeof raw === 'string' ? parseId('stream', raw) : undefined;
    const stream = id === undefined ? undefined : await store.stream(id);
    return stream?.workloadId === workload.id && stream.domainId === view.domain.id ? ok(stream) : err(refusal('not_found', 'no such event stream of this workload'));
  };

  const seal = (id: StreamId, { delivery, eventsRequested, description }: Change, kept: StreamChoice): StreamChoice => {
    const { authorization, ...chosen } = delivery ?? { ...kept, authorization: undefined };
    const sealed = authorization === undefined ? undefined : deps.encryption.seal(Buffer.from(authorization), authorizationContext({ id, endpointUrl: chosen.endpointUrl }));
    return {
      eventsRequested: eventsRequested === undefined ? kept.eventsRequested : eventsRequested, description: description === undefined ? kept.description : description,
      method: chosen.method, endpointUrl: chosen.endpointUrl,
      authorization: delivery === undefined ? kept.authorization : sealed?.sealed ?? null, authorizationKekId: delivery === undefined ? kept.authorizationKekId : sealed?.kekId ?? null,
    };
  };

  const rulesFor = ({ view }: Receiver, whole: boolean): ConfigurationRules => ({ whole, loopbackHttp: view.domain.stage === 'development', allowAddresses: deps.allowAddresses });
  const conflict = (): Result<never, Refusal> => err(refusal('stream_changed', 'the stream was changed meanwhile'));

  const configure = (whole: boolean) => async (receiver: Receiver, body: unknown): Promise<Result<Shown, Refusal>> => {
    const found = await find(receiver, memberOf(body, 'stream_id'));
    if (!found.ok) return found;
    const { issuer } = receiver.view.domain;
    const change = readConfiguration(body, { stream: found.value, issuer }, rulesFor(receiver, whole));
    if (!change.ok) return change;
    const choice = seal(found.value.id, change.value, found.value);
    if (!(await store.chooseStream(found.value, choice, clock.now()))) return conflict();
    await audit(receiver, 'stream.changed', found.value.id, shownChoice(choice));
    return ok(showStream({ ...found.value, ...choice }, issuer));
  };

  const findSubject = async (receiver: Receiver, body: unknown): Promise<Result<{ readonly streamId: StreamId; readonly key: string; readonly subject: JsonObject }, Refusal>> => {
    const found = await find(receiver, memberOf(body, 'stream_id'));
    if (!found.ok) return found;
    const verified = memberOf(body, 'verified');
    const subject = parseSubject(memberOf(body, 'subject'));
    if (subject === undefined || !(verified === undefined || typeof verified === 'boolean')) return err(refusal('subject_malformed', 'subject or verified'));
    return ok({ streamId: found.value.id, key: subjectKey(subject), subject });
  };

  /** A stream that kept nothing for a while says so, once it is heard again. */
  const tellLost = async (stream: StreamRow): Promise<void> => {
    if (stream.lost === 0) return;
    const since = stream.lostSince === null ? '' : ` since ${new Date(stream.lostSince).toISOString()}`;
    const row = deps.encode({
      streamId: stream.id, dedupeKey: `stream-updated/${stream.version + 1}/lost`, type: STREAM_UPDATED, subject: opaque(stream.id),
      payload: { status: 'enabled', reason: `${stream.lost} events${since} were not kept` }, txn: null, at: clock.now(), doneAt: null, error: null,
    });
    await store.enqueue({ at: clock.now(), most: Number.MAX_SAFE_INTEGER, events: [{ streamId: stream.id, dedupeKey: `stream-updated/${stream.version + 1}/lost`, row }] });
  };

  return {
    async create(receiver: Receiver, body: unknown): Promise<Result<Shown, Refusal>> {
      const { view, workload } = receiver;
      const change = readConfiguration(body, undefined, rulesFor(receiver, true));
      if (!change.ok) return change;
      const id = newId('stream', clock, deps.random);
      const at = clock.now();
      const choice = seal(id, change.value, { eventsRequested: null, method: 'poll', endpointUrl: null, authorization: null, authorizationKekId: null, description: null });
      const stream = { id, version: 1, domainId: view.domain.id, workloadId: workload.id, audience: workload.spiffeId, ...choice, status: 'enabled', reason: null, createdAt: at, changedAt: at } as const;
      if (!(await store.createStream(stream, STREAMS_PER_WORKLOAD))) return err(refusal('stream_limit', `${workload.name} has ${STREAMS_PER_WORKLOAD} streams`));
      await audit(receiver, 'stream.created', id, shownChoice(choice));
      return ok(showStream({ ...stream, ...NEW }, view.domain.issuer));
    },

    async read(receiver: Receiver, id: unknown): Promise<Result<Shown | readonly Shown[], Refusal>> {
      const { issuer, id: domainId } = receiver.view.domain;
      if (id === undefined) return ok((await store.streams({ domainId, workloadId: receiver.workload.id })).map((stream) => showStream(stream, issuer)));
      const found = await find(receiver, id);
      return found.ok ? ok(showStream(found.value, issuer)) : found;
    },

    update: configure(false),
    replace: configure(true),

    async remove(receiver: Receiver, id: unknown): Promise<Result<undefined, Refusal>> {
      const found = await find(receiver, id);
      if (!found.ok) return found;
      if (!(await store.deleteStream(found.value, clock.now()))) return conflict();
      await audit(receiver, 'stream.deleted', found.value.id);
      return ok(undefined);
    },

    async readStatus(receiver: Receiver, id: unknown): Promise<Result<Shown, Refusal>> {
      const found = await find(receiver, id);
      return found.ok ? ok(showStatus(found.value)) : found;
    },

    async setStatus(receiver: Receiver, body: unknown): Promise<Result<Shown, Refusal>> {
      const found = await find(receiver, memberOf(body, 'stream_id'));
      if (!found.ok) return found;
      const status = STATUSES.find((each) => each === memberOf(body, 'status'));
      const reason = memberOf(body, 'reason');
      if (status === undefined || !(reason === undefined || (typeof reason === 'string' && reason.length <= 500))) return err(refusal('stream_malformed', 'status or reason'));
      const stream = found.value;
      if (!(await store.setStreamStatus(stream, status, reason ?? null, clock.now()))) return conflict();
      if (status === 'enabled') await tellLost(stream);
      await audit(receiver, 'stream.status', stream.id, { status });
      return ok(showStatus({ id: stream.id, status, reason: reason ?? null }));
    },

    /** Every subject is told of unless it was removed; who it was that is not known here is answered alike. */
    async addSubject(receiver: Receiver, body: unknown): Promise<Result<undefined, Refusal>> {
      const subject = await findSubject(receiver, body);
      if (!subject.ok) return subject;
      await store.includeSubject(subject.value.streamId, subject.value.key);
      await audit(receiver, 'stream.subject-added', subject.value.streamId, { subject: subject.value.key });
      return ok(undefined);
    },

    async removeSubject(receiver: Receiver, body: unknown): Promise<Result<undefined, Refusal>> {
      const subject = await findSubject(receiver, body);
      if (!subject.ok) return subject;
      const since = clock.now() + REMOVAL_GRACE;
      if (!(await store.excludeSubject({ ...subject.value, since }, EXCLUDED_PER_STREAM))) return err(refusal('stream_limit', `${EXCLUDED_PER_STREAM} subjects are removed already`));
      await audit(receiver, 'stream.subject-removed', subject.value.streamId, { subject: subject.value.key, since });
      return ok(undefined);
    },

    async verify(receiver: Receiver, body: unknown): Promise<Result<undefined, Refusal>> {
      const found = await find(receiver, memberOf(body, 'stream_id'));
      if (!found.ok) return found;
      const state = memberOf(body, 'state');
      if (!(state === undefined || (typeof state === 'string' && state.length <= 1024))) return err(refusal('stream_malformed', 'state'));
      const { id, status } = found.value;
      if (status === 'disabled') return err(refusal('stream_disabled', 'a disabled stream verifies nothing'));
      const at = clock.now();
      if (!(await store.verifyStream(id, at, at - VERIFICATION_INTERVAL * 1000))) return err(refusal('rate_limited', 'verification', VERIFICATION_INTERVAL));
      const dedupeKey = `verification/${at}`;
      const row = deps.encode({ streamId: id, dedupeKey, type: VERIFICATION, subject: opaque(id), payload: state === undefined ? {} : { state }, txn: null, at, doneAt: null, error: null });
      await store.enqueue({ at, most: MOST_WAITING, events: [{ streamId: id, dedupeKey, row }] });
      return ok(undefined);
    },

    find,
  };
};
export type Manage = ReturnType<typeof createManage>;

const STATUSES: readonly StreamStatus[] = ['enabled', 'paused', 'disabled'];
const NEW = { verifiedAt: null, beganSeq: 0, lastN: 0, floor: 0, pending: 0, notice: null, overflowed: false, lost: 0, lostSince: null } as const;

const memberOf = (body: unknown, name: string): unknown => (typeof body === 'object' && body !== null && Object.hasOwn(body, name) ? (body as Record<string, unknown>)[name] : undefined);

/** For the audit log: the authorization is a secret, that there is one is not. */
const shownChoice = ({ method, endpointUrl, authorization, eventsRequested }: StreamChoice): JsonObject =>
  ({ method, ...(endpointUrl === null ? {} : { endpoint: endpointUrl }), authorization: authorization !== null, ...(eventsRequested === null ? {} : { events: eventsRequested }) });
