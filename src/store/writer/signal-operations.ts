import type { Done, EncodedSignal, Enqueued, Fence, SignalCursor } from '../signals.ts';

/** Writes of the event streams, each a transaction of its own. Rows are JSON text, as everywhere on the way to the writer. */
export type SignalOperation =
  | { readonly kind: 'stream-create'; readonly domainId: string; readonly workloadId: string; readonly most: number; readonly row: string }
  | { readonly kind: 'stream-choose'; readonly row: string }
  | { readonly kind: 'stream-status'; readonly id: string; readonly row: string; readonly forget: boolean }
  | { readonly kind: 'stream-verify'; readonly row: string }
  | { readonly kind: 'stream-pause'; readonly id: string; readonly version: number; readonly reason: string; readonly overflowed: boolean; readonly fence: Fence }
  | { readonly kind: 'stream-rewrap'; readonly row: string }
  | { readonly kind: 'subject-exclude'; readonly streamId: string; readonly most: number; readonly row: string }
  | { readonly kind: 'subject-include'; readonly row: string }
  | { readonly kind: 'enqueue'; readonly at: number; readonly fence: Fence | null; readonly events: readonly EncodedSignal[]; readonly most: number; readonly cursor: SignalCursor | null; readonly of: string; readonly rejoin: readonly string[] }
  | { readonly kind: 'finish-events'; readonly streamId: string; readonly at: number; readonly fence: Fence | null; readonly done: readonly Done[] };

export interface SignalReplies {
  readonly 'stream-create': boolean;
  readonly 'stream-choose': boolean;
  readonly 'stream-status': boolean;
  readonly 'stream-verify': boolean;
  readonly 'stream-pause': boolean;
  readonly 'stream-rewrap': boolean;
  readonly 'subject-exclude': boolean;
  readonly 'subject-include': null;
  readonly enqueue: Enqueued | null;
  readonly 'finish-events': number | null;
}

export const SIGNAL_LANES = {
  'stream-create': 'single', 'stream-choose': 'single', 'stream-status': 'single', 'stream-verify': 'single', 'stream-pause': 'single', 'stream-rewrap': 'single',
  'subject-exclude': 'single', 'subject-include': 'single', enqueue: 'single', 'finish-events': 'single',
} as const satisfies Record<SignalOperation['kind'], 'single'>;
