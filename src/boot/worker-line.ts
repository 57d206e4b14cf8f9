import type { Worker as ClusterWorker } from 'node:cluster';
import type { Registry } from 'prom-client';
import type { ServerConfig } from '../config/server-config.ts';
import { isObject } from '../core/json.ts';
import { SECOND } from '../core/duration.ts';
import type { DecisionId } from '../core/ids.ts';
import type { DenialRow } from '../store/rows.ts';
import type { StartProblem } from './refused.ts';

/** What a serving process needs to be one: the configuration as the primary resolved it, so that all of them run the same. */
export interface WorkerStart { readonly config: ServerConfig; readonly externalUrl: string; readonly version: string }

/** Why a worker could not start, in a form that crosses processes. */
export interface WorkerFault { readonly message: string; readonly code?: string; readonly address?: string; readonly port?: number; readonly problems?: readonly StartProblem[] }

/** What the two tell each other beside the store's messages; `join`: the worker is about to read the registry and must hear of every change from here on. */
export type Word =
  | { readonly say: 'hello' } | { readonly say: 'join' } | { readonly say: 'serving'; readonly address: string } | { readonly say: 'failed'; readonly fault: WorkerFault }
  | { readonly say: 'start'; readonly start: WorkerStart } | { readonly say: 'joined' } | { readonly say: 'stop' };

/** As prom-client hands them from one process to another. */
export type MetricList = Awaited<ReturnType<Registry['getMetricsAsJSON']>>;

/** What one can ask the other. The primary asks for `own-metrics` and `denial`, a worker for `all-metrics`. */
export interface Questions {
  readonly 'own-metrics': { readonly about: undefined; readonly answer: MetricList };
  readonly 'all-metrics': { readonly about: undefined; readonly answer: string };
  readonly denial: { readonly about: DecisionId; readonly answer: DenialRow | null };
}
export type Answerer = { readonly [Q in keyof Questions]?: (about: Questions[Q]['about']) => Promise<Questions[Q]['answer']> };

export interface WorkerLine {
  tell(word: Word): void;
  /** Resolves when the word is on its way, so that this process may end. */
  tellLast(word: Word): Promise<void>;
  onWord(listener: (word: Word) => void): void;
  /** Undefined when the other end is gone, silent or has no answer. */
  ask<Q extends keyof Questions>(question: Q, about: Questions[Q]['about']): Promise<Questions[Q]['answer'] | undefined>;
  /** Where the other end's questions go. */
  answerBy(answerer: Answerer): void;
}

type Message =
  | { readonly line: 'word'; readonly word: Word }
  | { readonly line: 'question'; readonly id: number; readonly question: keyof Questions; readonly about?: unknown }
  | { readonly line: 'answer'; readonly id: number; readonly answer?: unknown };

const PATIENCE = 2 * SECOND;

/** The IPC line between the primary and one worker, from either end. */
export const openWorkerLine = (end: NodeJS.Process | ClusterWorker): WorkerLine => {
  const waiting = new Map<number, (answer: unknown) => void>();
  const listeners: ((word: Word) => void)[] = [];
  let answerer: Answerer = {};
  let asked = 0;

  // A line that closed meanwhile is told by the end of the process at its other end.
  const send = (message: Message, sent: () => void = ignore): void => { (end.send as Send | undefined)?.call(end, message, sent); };

  const answer = async (id: number, question: keyof Questions, about: unknown): Promise<void> => {
    const ask = answerer[question] as ((about: unknown) => Promise<unknown>) | undefined;
    send({ line: 'answer', id, answer: await ask?.(about).catch(ignore) });
  };

  (end as NodeJS.EventEmitter).on('message', (message: unknown) => {
    if (!isMessage(message)) return;
    if (message.line === 'word') listeners.forEach((listener) => { listener(message.word); });
    else if (message.line === 'answer') waiting.get(message.id)?.(message.answer);
    else void answer(message.id, message.question, message.about);
  });

  return {
    tell(word) { send({ line: 'word', word }); },
    tellLast: (word) => new Promise((resolve) => { send({ line: 'word', word }, resolve); }),
    onWord(listener) { listeners.push(listener); },
    answerBy(given) { answerer = given; },
    ask: (question, about) =>
      new Promise((resolve) => {
        asked += 1;
        const id = asked;
        const settle = (given: unknown): void => {
          clearTimeout(timer);
          waiting.delete(id);
          resolve(given as Questions[typeof question]['answer'] | undefined);
        };
        const timer = setTimeout(settle, PATIENCE);
        waiting.set(id, settle);
        send({ line: 'question', id, question, about });
      }),
  };
};

/** What both ends have; the one of a process without a parent has none. */
type Send = (message: Message, sent: () => void) => void;

/** The store's messages travel on the same line and have no `line`. */
const isMessage = (message: unknown): message is Message => isObject(message) && typeof message['line'] === 'string';

const ignore = (): undefined => undefined;
