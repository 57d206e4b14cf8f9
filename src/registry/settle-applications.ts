import type { Issuer } from './entries.ts';
import type { Report } from './problem.ts';
import type { Scene } from './scene.ts';

/**
 * Of each application of an OpenID provider the tokens mean one thing, here and in every other domain: an agent that presents a
 * person's token can neither approve with it nor call the admin API, and a token for approving administers nothing (docs/approvals.md).
 */
export const checkApplications = (issuer: Issuer, scene: Scene, report: Report): void => {
  // What may not be named is told once: how many there are is for nobody to know either (design section 3, invariant 11).
  const hidden = new Map<string, string>();
  for (const [key, other] of scene.issuers) {
    if (other.id === issuer.id || other.issuer !== issuer.issuer) continue;
    const isKnown = scene.written.has(key) || scene.mayKnow(domainOf(other, scene));
    for (const { path, clientId, message, mend } of clashes(issuer, other, scene)) {
      if (isKnown) report(path, message, mend);
      else hidden.set(path, clientId);
    }
  }
  for (const [path, clientId] of hidden) report(path, `${clientId} is not free: in the whole installation an application is of one domain and one purpose`, 'use another application; if this one is yours, ask an admin of the installation who has it');
};

interface Clash { readonly path: string; readonly clientId: string; readonly message: string; readonly mend: string }

const clashes = (issuer: Issuer, other: Issuer, scene: Scene): readonly Clash[] => {
  if (issuer.proves === 'people' && other.proves === 'people') return other.domainId === issuer.domainId ? approversAmongAgents(issuer, other, scene) : sharedByDomains(issuer, other, scene);
  if (issuer.proves === 'people' && other.proves === 'admins') return adminsAmongPeople(issuer, other, scene);
  return issuer.proves === 'admins' && other.proves === 'people' ? peopleAmongAdmins(issuer, other, scene) : [];
};

/** An application's ID token is made out to the application alone: trusted in two domains, it would be good in both. */
const sharedByDomains = (issuer: Issuer, other: Issuer, scene: Scene): readonly Clash[] => {
  const taken = applicationsOf(other).map(({ clientId }) => clientId);
  return applicationsOf(issuer).filter(({ clientId }) => taken.includes(clientId)).map(({ path, clientId }) => ({
    path, clientId, message: `${clientId} is listed by issuer ${nameOf(other, scene)} already`, mend: 'use another application for each trust domain: a token of one must not count in the other',
  }));
};

/** Of two entries of one issuer neither may let agents hold what the other lets people approve with. */
const approversAmongAgents = (issuer: Issuer, other: Issuer, scene: Scene): readonly Clash[] => {
  const [own, others] = [issuer, other].map(({ audiences = [] }) => audiences.map(({ clientId }) => clientId));
  return [...(issuer.approverClients ?? []).filter((client) => others?.includes(client)), ...(other.approverClients ?? []).filter((client) => own?.includes(client))].map((clientId) => ({
    path: 'approver_clients', clientId, message: `${clientId} is an application of agents at one of this entry and issuer ${nameOf(other, scene)}, and one of approvers at the other`, mend: 'register an application of its own for approvers',
  }));
};

/** An ID token is an admin's by its audience alone, whoever shows it. */
const adminsAmongPeople = (issuer: Issuer, admins: Issuer, scene: Scene): readonly Clash[] =>
  applicationsOf(issuer).filter(({ clientId }) => clientId === admins.audience).map(({ path, clientId, use }) => ({
    path, clientId, message: `${clientId} is the audience of issuer ${nameOf(admins, scene)}, which proves admins: ${use}`, mend: 'use another application: one where admins log in is for nothing else',
  }));

const peopleAmongAdmins = ({ audience }: Issuer, people: Issuer, scene: Scene): readonly Clash[] =>
  applicationsOf(people).filter(({ clientId }) => clientId === audience).map(({ clientId, use }) => ({
    path: 'audience', clientId, message: `${clientId} is an application of issuer ${nameOf(people, scene)}, which proves people: ${use}`, mend: 'register an application of its own for admins, or remove this line',
  }));

const applicationsOf = ({ audiences = [], approverClients = [] }: Issuer) => [
  ...audiences.map(({ clientId }, index) => ({ clientId, path: `audiences[${index}].client_id`, use: 'the workloads that present its tokens could administer and approve with them' })),
  ...approverClients.map((clientId, index) => ({ clientId, path: `approver_clients[${index}]`, use: 'its tokens would be good for more than to approve' })),
];

export const domainOf = (issuer: Issuer, scene: Scene): string => [...scene.domains.values()].find(({ id }) => id === issuer.domainId)?.name ?? issuer.domainId;

export const nameOf = (issuer: Issuer, scene: Scene): string => `${domainOf(issuer, scene)}/${issuer.name}`;
