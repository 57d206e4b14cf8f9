import type { EntityUidJson, PolicyJson, TypeAndId } from '@cedar-policy/cedar-wasm/nodejs';

/** The entities a statement's head is fixed to, as keys of {@link uidKey}; undefined: any. */
export interface FixedHead { readonly principal: string | undefined; readonly resource: string | undefined }

/**
 * A head fixed to an entity without members can match requests of that entity only, one fixed to a resource only those
 * of the resource and its scopes. Groups and domains have members the registry does not list, so they count as unfixed:
 * a policy taken for unfixed is evaluated too often, never too rarely.
 */
export const fixedIn = (statement: PolicyJson): FixedHead => ({
  principal: fixedTo(statement.principal, ['Workload', 'Person', 'Admin']),
  resource: fixedTo(statement.resource, ['Resource', 'Scope', 'Detail']),
});

/** A key that is equal for equal entities only: type names hold no quotes. */
export const uidKey = ({ type, id }: TypeAndId): string => `${type}::"${id}"`;

export const plainUid = (uid: EntityUidJson): TypeAndId => ('__entity' in uid ? uid.__entity : uid);

type Constraint = PolicyJson['principal'] | PolicyJson['resource'];

const fixedTo = (constraint: Constraint, types: readonly string[]): string | undefined => {
  const uid = entityOf(constraint);
  return uid !== undefined && types.includes(uid.type) ? uidKey(uid) : undefined;
};

const entityOf = (constraint: Constraint): TypeAndId | undefined => {
  if (constraint.op === 'All') return undefined;
  const within = constraint.op === 'is' ? constraint.in : constraint;
  return within !== undefined && 'entity' in within ? plainUid(within.entity) : undefined;
};
