import type { Attributes, AttributeValue } from '../attestation/attributes.ts';
import type { MatchRule } from './entries.ts';
import { isGlob, matchesGlob } from './glob.ts';

/**
 * Whether evidence satisfies a rule. A missing attribute never matches, a value of another type never matches, and a
 * rule without attributes matches nothing.
 */
export const matchesRule = (rule: MatchRule, issuerName: string, attributes: Attributes): boolean => {
  if (rule.issuer !== issuerName) return false;
  const names = Object.keys(rule.attributes);
  return names.length > 0 && names.every((name) => {
    const value = Object.hasOwn(attributes, name) ? attributes[name] : undefined;
    return value !== undefined && (rule.attributes[name] ?? []).some((allowed) => matchesValue(allowed, value));
  });
};

/** One allowed value against one attribute; a set matches by any of its members, and never by a pattern. */
export const matchesValue = (allowed: string | number | boolean, value: AttributeValue): boolean => {
  if (typeof value === 'object') return !isGlob(allowed) && value.some((member) => member === allowed);
  return typeof allowed === 'string' && isGlob(allowed) ? typeof value === 'string' && matchesGlob(allowed, value) : allowed === value;
};
