import type { JWTPayload } from 'jose';
import { isObject } from '../core/json.ts';
import { refusal } from '../core/refusal.ts';
import type { Refusal } from '../core/refusal.ts';
import { err, ok } from '../core/result.ts';
import type { Result } from '../core/result.ts';
import type { AttributeSpec, AttributeTable, AttributeValue } from './attributes.ts';

/** One literal claim name (which may hold dots, slashes, a whole URL), or a path of member names into nested objects. */
export type ClaimPath = string | readonly string[];

/** An attribute with the claim it is read from. */
export interface Reading { readonly name: string; readonly claim: ClaimPath; readonly spec: AttributeSpec }

/** Readings for a table whose attributes bear the names of their claims. */
export const readingsOf = (table: AttributeTable): readonly Reading[] => Object.entries(table).map(([name, spec]) => ({ name, claim: name, spec }));

/**
 * Claims to attributes. Absent, null and the empty string are absent: platforms send `""` for what does not apply. A value of
 * another type than the table says is refused, never converted by guess: it would match rules nobody wrote for it.
 */
export const readAttributes = (claims: JWTPayload, readings: readonly Reading[]): Result<Record<string, AttributeValue>, Refusal> => {
  const attributes: Record<string, AttributeValue> = {};
  for (const { name, claim, spec } of readings) {
    const raw = claimAt(claims, claim);
    const value = isAbsent(raw) ? undefined : convert(raw, spec.type);
    if (value !== undefined) attributes[name] = value;
    else if (!isAbsent(raw)) return err(refusal('evidence_claim_invalid', `${describe(claim)} is not a ${spec.type}`));
    else if (spec.required) return err(refusal('evidence_claim_missing', `${describe(claim)} is required`));
  }
  // Nothing inherited is ever found. Filled first: an object that begins without a prototype is a slow one for good.
  return ok(Object.setPrototypeOf(attributes, null) as typeof attributes);
};

/** The value at a path of own members; nothing inherited is ever found. */
export const claimAt = (claims: JWTPayload, claim: ClaimPath): unknown => {
  if (typeof claim === 'string') return Object.hasOwn(claims, claim) ? claims[claim] : undefined;
  return claim.reduce<unknown>((value, name) => (isObject(value) && Object.hasOwn(value, name) ? value[name] : undefined), claims);
};

const isAbsent = (value: unknown): boolean => value === undefined || value === null || value === '';

/** Undefined when the value is not of the type. CI platforms write booleans as strings, and a single list member without brackets. */
const convert = (value: unknown, type: AttributeSpec['type']): AttributeValue | undefined => {
  switch (type) {
    case 'String':
      return typeof value === 'string' ? value : undefined;
    case 'Long':
      return Number.isSafeInteger(value) ? (value as number) : undefined;
    case 'Bool':
      return BOOLEANS.get(value);
    case 'Set<String>':
      return typeof value === 'string' ? [value] : stringsOf(value);
  }
};

const BOOLEANS: ReadonlyMap<unknown, boolean> = new Map<unknown, boolean>([[true, true], [false, false], ['true', true], ['false', false]]);
const stringsOf = (value: unknown): readonly string[] | undefined => (Array.isArray(value) && value.every((member) => typeof member === 'string') ? value : undefined);
const describe = (claim: ClaimPath): string => (typeof claim === 'string' ? claim : claim.join(' > '));
