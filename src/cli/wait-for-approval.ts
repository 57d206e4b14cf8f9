import { constants } from 'node:os';
import { SECOND } from '../core/duration.ts';
import type { CliContext } from './context.ts';
import { tell } from './context.ts';
import type { Deferral } from './deferral.ts';
import { CliError, failed } from './errors.ts';
import type { Asked, ExchangeClient, Issued } from './exchange-client.ts';
import { printable } from './output.ts';
import type { Evidence } from './platform-token.ts';

type Waiting = Pick<CliContext, 'clock' | 'schedule' | 'onSignal' | 'stderr'>;
type Redeeming = Pick<ExchangeClient, 'redeem' | 'revoke'>;

/** What was asked for, and whether people had to agree to it: then it was issued once, and the same is not to be had again without them. */
export interface Obtained { readonly issued: Issued; readonly agreed: boolean }

/** One exchange that waits for people where it has to. */
export const obtainAgreed = async (context: Waiting, client: ExchangeClient, evidence: Evidence, asked: Asked): Promise<Obtained> => {
  const answer = await client.defer(evidence, asked);
  return answer.kind === 'issued' ? { issued: answer.issued, agreed: false } : { issued: await waitForApproval(context, client, answer.deferral), agreed: true };
};

/** Each poll that came too early, or was not answered, makes the time between two longer for good (RFC 8628 section 3.5). */
const LONGER = 5;

/** Asks until people decided, their time is over, or a signal comes, which takes the request back. */
const waitForApproval = async (context: Waiting, client: Redeeming, deferral: Deferral): Promise<Issued> => {
  const until = context.clock.now() + deferral.expiresIn * SECOND;
  const name = deferral.approval === undefined ? 'this' : printable(deferral.approval);
  const patience = createPatience(context);
  try {
    tellWaiting(context, deferral, name, until);
    let interval = deferral.interval;
    let issued: Issued | undefined;
    for (;;) {
      await patience.pause(interval * SECOND);
      if (patience.signal() !== undefined) break;
      const answer = await client.redeem(deferral.code);
      if (answer.kind === 'issued') {
        ({ issued } = answer);
        break;
      }
      interval = Math.max(interval + (answer.kind === 'pending' ? 0 : LONGER), answer.interval ?? 0);
      if (context.clock.now() >= until) throw failed(`nobody agreed to ${name} in time`, 'run the command again to ask anew');
    }
    // A signal may have come with the credential: then that is taken back, and else the request.
    const signal = patience.signal();
    if (issued === undefined || signal !== undefined) return await giveUp(context, client, issued?.credential ?? deferral.code, name, signal);
    tell(context, `${name} is approved`);
    return issued;
  } finally {
    patience.stop();
  }
};

const tellWaiting = (context: Waiting, { approval }: Deferral, name: string, until: number): void => {
  tell(context, [
    `waiting for a person to agree to ${name}, until ${new Date(until).toISOString()}`,
    ...(approval === undefined ? [] : [`  \`mayfly approval show ${name}\` says what for and whose word is missing; they give it with \`mayfly approval approve ${name}\`, each with a token of their own`]),
    '  Ctrl-C takes the request back',
  ].join('\n'));
};

/** Nobody is to decide on what nobody waits for, and nothing is to be left that nobody got (RFC 7009). */
const giveUp = async (context: Waiting, client: Redeeming, credential: string, name: string, signal: NodeJS.Signals = 'SIGINT'): Promise<never> => {
  await client.revoke(credential).catch((fault: unknown) => {
    tell(context, `warning: ${name} could not be taken back and ends by itself: ${fault instanceof Error ? fault.message : String(fault)}`);
  });
  throw new CliError(`stopped by ${signal} while waiting for a person to agree to ${name}`, 'run the command again to ask anew', 128 + constants.signals[signal]);
};

interface Patience { pause(milliseconds: number): Promise<void>; signal(): NodeJS.Signals | undefined; stop(): void }

/** Pauses that a signal ends at once; it ends no more than them, so that what is under way can be tidied up. */
const createPatience = ({ schedule, onSignal }: Pick<Waiting, 'schedule' | 'onSignal'>): Patience => {
  let came: NodeJS.Signals | undefined;
  let wake = (): void => undefined;
  const stop = onSignal((signal) => {
    came ??= signal;
    wake();
  });
  return {
    stop, signal: () => came,
    pause: (milliseconds) => new Promise((resolve) => {
      if (came !== undefined) return resolve();
      const cancel = schedule(milliseconds, resolve);
      wake = () => {
        cancel();
        resolve();
      };
    }),
  };
};
