import type { Presented } from '../../src/attestation/envelope.ts';
import type { Crossing } from '../../src/attestation/attest-crossing.ts';
import type { Evidence } from '../../src/attestation/evidence.ts';
import type { Person } from '../../src/attestation/person.ts';
import { refusal } from '../../src/core/refusal.ts';
import type { Refusal, RefusalCode } from '../../src/core/refusal.ts';
import { err, ok } from '../../src/core/result.ts';
import type { Result } from '../../src/core/result.ts';
import type { Asking, Caller, CallerPorts } from '../../src/exchange/caller.ts';
import type { ExchangeRequest } from '../../src/exchange/request.ts';
import type { DomainView } from '../../src/snapshot/domain-view.ts';
import type { HopRow, SessionRow, Target } from '../../src/store/rows.ts';
import type { LeaseStanding } from '../../src/store/store.ts';
import type { OwnToken } from '../../src/tokens/verify.ts';
import { LEASE, NOW, deployer, domain, evidence, person, request, standing, viewOf } from './world.ts';

export const token = (change: Partial<OwnToken> = {}): OwnToken =>
  ({ kind: 'session', jti: LEASE, clientId: deployer.spiffeId, audience: domain.issuer, jkt: undefined, kid: 'kid-1', claims: {}, ...change }) as OwnToken;

/** What is found where the caller looks, where it is not the usual. */
export interface Setting {
  readonly evidence?: Evidence | RefusalCode;
  readonly person?: Person | RefusalCode;
  readonly token?: OwnToken | RefusalCode;
  readonly standing?: LeaseStanding | undefined;
  readonly session?: { readonly session: SessionRow; readonly hops?: readonly HopRow[]; readonly revokedBy?: Target; readonly suspendedBy?: Target } | undefined;
  readonly crossing?: Crossing | RefusalCode;
  /** A revocation of the person that ended logins up to this moment. */
  readonly loginsEnded?: number;
  readonly view?: DomainView;
  readonly binding?: Asking['binding'];
}

/** One request on its way to a caller; `asked` keeps where it looked, `learnt` who it was found to be. */
export const startAsking = (setting: Setting = {}) => {
  const asked: string[] = [];
  const learnt: unknown[] = [];
  const answer = <T>(given: T | RefusalCode): Promise<Result<T, Refusal>> => Promise.resolve(typeof given === 'string' ? err(refusal(given as RefusalCode, 'as told')) : ok(given));
  const ports: CallerPorts = {
    clock: { now: () => NOW },
    attest(text, candidates) {
      asked.push(`attest ${textOf(text)}`, ...candidates('https://token.example').map(({ name }) => name));
      return answer(setting.evidence ?? evidence());
    },
    attestPerson: (text) => { asked.push(`person ${textOf(text)}`); return answer(setting.person ?? person()); },
    attestCrossing: (text) => { asked.push(`crossing ${textOf(text)}`); return answer(setting.crossing ?? 'evidence_issuer_unknown'); },
    domainByIssuer: () => undefined,
    verifySessionToken: (text) => { asked.push(`verify ${text}`); return answer(setting.token ?? token()); },
    endsLogin: (of, authTime) => of === person().urn && setting.loginsEnded !== undefined && authTime <= setting.loginsEnded,
    store: {
      leaseStanding: (id) => { asked.push(`lease ${id}`); return Promise.resolve('standing' in setting ? setting.standing : standing()); },
      session: (id) => {
        asked.push(`session ${id}`);
        return Promise.resolve(setting.session === undefined ? undefined : { hops: [], budgets: [], revokedBy: undefined, suspendedBy: undefined, ...setting.session });
      },
    },
    join: (caller) => { asked.push('join'); return Promise.resolve(ok(caller)); },
  };
  const asking = (change: Partial<ExchangeRequest> = {}): Asking => ({
    request: request(change), view: setting.view ?? viewOf(), binding: setting.binding, snapshotVersion: 7, learnt: (who, facts) => { learnt.push([who?.name, facts.subject]); },
  });
  return { ports, asked, learnt, asking };
};

export type Outcome = Promise<Result<Caller, Refusal>>;

/** A token as it was sent, whether or not somebody took it apart before. */
const textOf = (presented: Presented): string => (typeof presented === 'string' ? presented : presented.token);
