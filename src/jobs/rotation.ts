import { MINUTE } from '../core/duration.ts';
import type { Clock } from '../core/clock.ts';
import type { WantedKeys } from '../credentials/wanted-keys.ts';
import type { KeyEncryption } from '../keys/kek.ts';
import { carryOut, DEFAULT_SCHEDULE, findForeignKek, planRotation, signingKinds, uniteKinds } from '../keys/key-plan.ts';
import type { Snapshot } from '../snapshot/snapshot.ts';
import type { RegistryChange, RegistryOutcome } from '../store/store.ts';
import type { Job } from './run.ts';

/** Publishes keys before use, promotes them, and erases what nothing rests on any more (design section 11, Keys). */
export const rotationJob = (deps: {
  readonly clock: Clock;
  readonly snapshot: Pick<Snapshot, 'domains' | 'version'>;
  readonly encryption: KeyEncryption;
  readonly wantedKeys: WantedKeys;
  change(change: RegistryChange): Promise<RegistryOutcome>;
}): Job => ({
  name: 'key-rotation',
  every: MINUTE,
  lease: 5 * MINUTE,
  async run() {
    const at = deps.clock.now();
    for (const view of deps.snapshot.domains()) {
      const rows = view.keyRows();
      const foreign = findForeignKek(rows, deps.encryption);
      if (foreign !== undefined) throw new Error(foreign);
      const asked = deps.wantedKeys(view.entries().resources, at);
      // What an entry wants that this version cannot read is not known: no key is taken from it.
      const wanted = view.problems.length === 0 ? asked : uniteKinds(asked, signingKinds(rows));
      const plan = planRotation(view.domain.id, rows, at, { ...DEFAULT_SCHEDULE, wanted });
      if (plan.change.length === 0 && plan.create.length === 0) continue;
      const basedOn = deps.snapshot.version;
      const keys = await carryOut(plan, deps.encryption);
      // Against another version nothing is written, and the next turn plans anew.
      await deps.change({
        at, by: 'key-rotation', basedOn, keys,
        audit: keys.map((row) => ({ at, action: 'key.rotated', domainId: row.domainId, body: { by: 'key-rotation', kid: row.kid, purpose: row.purpose, algorithm: row.algorithm, status: row.status } })),
      });
    }
  },
});
