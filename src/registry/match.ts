import type { Attributes, AttributeValue } from '../attestation/attributes.ts';
import type { MatchRule } from './entries.ts';
import { isGlob, matchesGlob } from './glob.ts';

type Allowed = readonly (string | number | boolean)[];

/** A rule laid out for matching: attribute names with their allowed values. */
export type CompiledRule = readonly (readonly [name: string, allowed: Allowed])[];

export const compileRule = (rule: MatchRule): CompiledRule => Object.entries(rule.attributes);

/**
 * Whether evidence of the rule's issuer satisfies it. A missing attribute never matches, a value of another type never
 * matches, and a rule without attributes matches nothing.
 */
export const matchesRule = (rule: CompiledRule, attributes: Attributes): boolean => {
  for (const [name, allowed] of rule) {
    const value = Object.hasOwn(attributes, name) ? attributes[name] : undefined;
    if (value === undefined || !allowed.some((each) => matchesValue(each, value))) return false;
  }
  return rule.length > 0;
};

/** One allowed value against one attribute; a set matches by any of its members, and never by a pattern. */
export const matchesValue = (allowed: string | number | boolean, value: AttributeValue): boolean => {
  if (typeof value === 'object') return !isGlob(allowed) && value.some((member) => member === allowed);
  return typeof allowed === 'string' && isGlob(allowed) ? typeof value === 'string' && matchesGlob(allowed, value) : allowed === value;
};
