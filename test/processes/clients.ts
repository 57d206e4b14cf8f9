import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { ClientAnswer, ClientRequest } from './client-process.ts';

/** Two processes that send what they are given at the same moment. */
export interface Clients {
  send(first: readonly ClientRequest[], second: readonly ClientRequest[]): Promise<readonly [readonly ClientAnswer[], readonly ClientAnswer[]]>;
  close(): Promise<void>;
}

export const startClients = async (): Promise<Clients> => {
  const children = await Promise.all([startOne(), startOne()]);
  const ask = async (child: (typeof children)[number], requests: readonly ClientRequest[]): Promise<readonly ClientAnswer[]> => {
    const answered = once(child, 'message');
    child.send([...requests]);
    const [answers] = (await answered) as [readonly ClientAnswer[] | { readonly fault: string }];
    if ('fault' in answers) throw new Error(answers.fault);
    return answers;
  };
  return {
    send: (first, second) => Promise.all([ask(children[0], first), ask(children[1], second)]),
    async close() {
      await Promise.all(children.map(async (child) => {
        const exited = once(child, 'exit');
        child.disconnect();
        await exited;
      }));
    },
  };
};

const startOne = async () => {
  const child = fork(fileURLToPath(new URL('client-process.ts', import.meta.url)));
  await once(child, 'message');
  return child;
};
