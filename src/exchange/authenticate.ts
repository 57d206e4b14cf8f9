import { openEnvelope } from '../attestation/envelope.ts';
import { refusal } from '../core/refusal.ts';
import type { Refusal } from '../core/refusal.ts';
import { err } from '../core/result.ts';
import type { Result } from '../core/result.ts';
import type { DomainView } from '../snapshot/domain-view.ts';
import type { IssuerPurpose } from '../registry/entries.ts';
import { byCrossing } from './caller-crossing.ts';
import { byEvidence } from './caller-evidence.ts';
import { byPerson } from './caller-person.ts';
import { bySessionId, bySessionToken } from './caller-token.ts';
import type { Authenticate, Caller, CallerPorts } from './caller.ts';

/** Who asks, by what the request shows. Which token is whose is read from unverified claims: a lie only picks whose keys refuse it. */
export const createAuthenticate = (ports: CallerPorts): Authenticate => {
  const [evidence, person, token, session, crossing] = [byEvidence(ports), byPerson(ports), bySessionToken(ports), bySessionId(ports), byCrossing(ports)];
  return (asking) => {
    const { request, view } = asking;
    const { actorToken, subjectKind, subjectToken } = request;
    if (subjectKind === 'session') return actorToken === undefined ? withoutActor('a session id') : session(asking, actorToken);
    const opened = openEnvelope(subjectToken);
    const iss = opened.ok && typeof opened.value.claims.iss === 'string' ? opened.value.claims.iss : undefined;
    const presented = opened.ok ? opened.value : subjectToken;
    if (iss !== undefined && iss !== view.domain.issuer && proves(view, iss, 'domains')) return actorToken === undefined ? withoutActor('a token of another domain') : crossing(asking, actorToken, presented);
    if (subjectKind === 'access-token' && (iss === view.domain.issuer || !proves(view, iss, 'people'))) return token(asking);
    if (actorToken !== undefined) return person(asking, actorToken, presented);
    // A person's token alone would be the person: refused whoever shows it (design section 3, invariant 5).
    if (subjectKind === 'access-token' || (proves(view, iss, 'people') && !proves(view, iss, 'workloads'))) return withoutActor('a person\'s token');
    return evidence(asking, presented);
  };
};

const withoutActor = (what: string): Promise<Result<Caller, Refusal>> => Promise.resolve(err(refusal('actor_missing', `${what} without the evidence of who acts`)));

const proves = (view: DomainView, iss: string | undefined, purpose: IssuerPurpose): boolean => iss !== undefined && view.issuersFor(iss, purpose).length > 0;
