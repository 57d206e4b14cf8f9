import { DAY } from '../core/duration.ts';
import type { Entry } from './entries.ts';
import type { LintScene, Remark } from './lint-scene.ts';

const FAR = 400 * DAY;
const SOON = 30 * DAY;

/** What every kind of entry is asked: who answers for it, and when it ends. */
export const lintEntry = (entry: Entry, { now }: LintScene): readonly Remark[] => [...(entry.owner.trim() === '' ? [{ rule: 'no-owner', mend: 'add owner with a contact' } as const] : []), ...lintExpiry(entry, now)];

const lintExpiry = (entry: Entry, now: number): readonly Remark[] => {
  if (entry.kind === 'domain') return [];
  if (entry.expires === undefined) return entry.kind === 'policy' && entry.effect === 'forbid' ? [] : [{ rule: 'no-expiry', mend: 'add expires with a date' }];
  const left = entry.expires - now;
  if (left <= 0) return [{ rule: 'expired', mend: 'set a later date, or remove the entry' }];
  if (left <= SOON) return [{ rule: 'expires-soon', what: `${Math.ceil(left / DAY)} days left`, mend: 'set a later date, or let it end' }];
  return left > FAR ? [{ rule: 'expiry-far', what: `${Math.floor(left / DAY)} days left`, mend: 'set a date within 400 days' }] : [];
};
