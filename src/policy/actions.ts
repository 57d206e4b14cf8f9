import type { Question } from './decision.ts';

/** What a workload or person can ask for (design section 6). Scopes are entities and never appear here. */
export const WORKLOAD_ACTIONS = ['issue', 'delegate', 'act', 'cross', 'approve', 'open', 'call'] as const satisfies readonly Question['action'][];

interface AdminVerb {
  /** True: changes nothing, and is in `Action::"admin-read"`. */
  readonly reads: boolean;
  readonly doc: string;
}

/** Every admin action is `Action::"admin::<verb>"`, in the group `Action::"admin"`. */
export const ADMIN_VERBS = {
  list: { reads: true, doc: 'list entries, sessions and leases' },
  show: { reads: true, doc: 'show one of them, and what an apply would change' },
  explain: { reads: true, doc: 'ask why a decision fell as it did' },
  simulate: { reads: true, doc: 'ask what would be decided, issuing nothing' },
  lint: { reads: true, doc: 'check the trust rules' },
  audit: { reads: true, doc: 'verify and export the audit log' },
  apply: { reads: false, doc: 'write registry entries: issuers, resources, workloads, policies; on the system domain also domains' },
  revoke: { reads: false, doc: 'take authority back: leases, sessions, workloads, people, issuers, the domain itself' },
  open: { reads: false, doc: 'open tasks of autonomous workloads' },
  end: { reads: false, doc: 'end sessions before their time' },
  enable: { reads: false, doc: 'let a revoked workload, person or issuer begin anew; on the system domain also domains' },
  keys: { reads: false, doc: 'list, rotate, rewrap and revoke signing keys' },
  allow_address: { reads: false, doc: 'let an issuer be fetched from addresses that are not public' },
  register_admin_issuer: { reads: false, doc: 'register an issuer that proves admins; decided in the system domain' },
} as const satisfies Record<string, AdminVerb>;
export type AdminVerbName = keyof typeof ADMIN_VERBS;

/** The reserved domain in which installation-wide actions are decided (design section 11). */
export const SYSTEM_DOMAIN = 'system';
export const ADMIN_GROUP = 'admin';
export const ADMIN_READ_GROUP = 'admin-read';

export const isAdminVerb = (verb: string): verb is AdminVerbName => Object.hasOwn(ADMIN_VERBS, verb);
export const isWorkloadAction = (action: string): action is Question['action'] => WORKLOAD_ACTIONS.some((known) => known === action);

/** The action groups a verb is in. */
export const groupsOf = (verb: AdminVerbName): readonly string[] => (ADMIN_VERBS[verb].reads ? [ADMIN_GROUP, ADMIN_READ_GROUP] : [ADMIN_GROUP]);
