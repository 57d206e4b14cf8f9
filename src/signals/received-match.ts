import { personUrn } from '../attestation/person.ts';
import { sessionId } from '../authority/session.ts';
import { isObject } from '../core/json.ts';
import type { PersonUrn, SessionId } from '../core/ids.ts';
import type { Workload } from '../registry/entries.ts';
import type { DomainView } from '../snapshot/domain-view.ts';
import type { Target } from '../store/rows.ts';
import type { SignallingIssuer } from './received-set.ts';
import type { IssSub, Subject } from './received-subject.ts';

/** Whom an event is about: persons, or workloads, as the issuer entry proves them. */
export interface Match {
  readonly target: Target;
  /** What an admin reads: a person's URN, a workload's SPIFFE ID. */
  readonly who: string;
  readonly person: PersonUrn | undefined;
  /** The session of the one login the event names, if it names one and there is such a session: the caller has to look. */
  readonly login: SessionId | undefined;
  /** Workloads whose own sessions rest on it: of a person those they are accountable for. */
  readonly workloads: readonly Workload[];
}

/** OpenID Connect Core section 2. What is longer was never a person's here. */
const MAX_SUBJECT = 255;

/** By exact `iss` and `sub`, never otherwise (RFC 9493 section 3.2.3): the `iss` is that of the issuer entry, whoever transmits. */
export const matchSubject = (subject: Subject, issuer: SignallingIssuer, view: DomainView): readonly Match[] =>
  (issuer.proves === 'people' ? matchPeople(subject, issuer, view) : matchWorkloads(subject, issuer, view));

const ofIssuer = (named: readonly IssSub[], { issuer }: SignallingIssuer): readonly string[] =>
  [...new Set(named.filter(({ iss, sub }) => iss === issuer && sub.length <= MAX_SUBJECT).map(({ sub }) => sub))];

const matchPeople = ({ users, session }: Subject, issuer: SignallingIssuer, view: DomainView): readonly Match[] =>
  ofIssuer(users, issuer).map((sub) => {
    const person = personUrn(view.domain.name, issuer.name, sub);
    return {
      target: `person:${person}`, who: person, person,
      login: session?.id === undefined ? undefined : sessionId(view.domain.id, issuer.id, person, `sid.${session.id}`),
      workloads: view.entries().workloads.filter(({ principal }) => principal?.issuer === issuer.name && principal.sub === sub),
    };
  });

/** Workloads that are told by this `sub`, literally: a rule with a pattern may stand for others as well. */
const matchWorkloads = ({ users, devices }: Subject, issuer: SignallingIssuer, view: DomainView): readonly Match[] => {
  const subjects = ofIssuer([...users, ...devices], issuer);
  const attributes = subjectAttributes(issuer);
  if (subjects.length === 0 || attributes.length === 0) return [];
  const isMeant = ({ match }: Workload): boolean => match.issuer === issuer.name && attributes.some((name) => match.attributes[name]?.some((value) => typeof value === 'string' && subjects.includes(value)));
  return view.entries().workloads.filter(isMeant).map((workload) => ({ target: `workload:${workload.id}`, who: workload.spiffeId, person: undefined, login: undefined, workloads: [workload] }));
};

/** Attributes that an entry of kind `oidc` reads from the claim `sub`; other kinds have none that means this. */
const subjectAttributes = ({ options }: SignallingIssuer): readonly string[] => {
  const claims = isObject(options) && isObject(options['claims']) ? options['claims'] : {};
  return Object.entries(claims).flatMap(([name, mapping]) => (isObject(mapping) && mapping['claim'] === 'sub' ? [name] : []));
};
