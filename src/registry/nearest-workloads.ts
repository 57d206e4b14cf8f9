import type { Attributes, AttributeValue } from '../attestation/attributes.ts';
import type { Workload } from './entries.ts';
import { compileRule, matchesValue } from './match.ts';

/** A workload evidence came near to being, and each part of its rule that does not hold. For admins: it tells what is registered. */
export interface NearWorkload { readonly workload: string; readonly why: readonly string[] }

const SHOWN = 3;
const LONGEST_VALUE = 200;

/** Workloads of this issuer that evidence which is none of them fits best: fewest unmet attributes first, and of those the ones that agree in most. */
export const nearestWorkloads = (workloads: Iterable<Workload>, issuerName: string, attributes: Attributes): readonly NearWorkload[] => {
  const near: (NearWorkload & { readonly met: number })[] = [];
  for (const { name, match } of workloads) {
    if (match.issuer !== issuerName) continue;
    const rule = compileRule(match);
    const why = rule.flatMap(([attribute, allowed]) => missOf(attribute, allowed, Object.hasOwn(attributes, attribute) ? attributes[attribute] : undefined));
    if (why.length > 0) near.push({ workload: name, why, met: rule.length - why.length });
  }
  near.sort((a, b) => a.why.length - b.why.length || b.met - a.met || (a.workload < b.workload ? -1 : 1));
  return near.slice(0, SHOWN).map(({ workload, why }) => ({ workload, why }));
};

const missOf = (attribute: string, allowed: readonly (string | number | boolean)[], value: AttributeValue | undefined): readonly string[] => {
  if (value !== undefined && allowed.some((each) => matchesValue(each, value))) return [];
  const wanted = `${attribute} has to be ${allowed.map(shown).join(' or ')}`;
  return [value === undefined ? `${wanted}, and is not there` : `${wanted}, and is ${shown(value)}`];
};

/** As JSON, so that the text "815" and the number 815 look different. */
const shown = (value: unknown): string => {
  const text = JSON.stringify(value);
  return text.length > LONGEST_VALUE ? `${text.slice(0, LONGEST_VALUE)}...` : text;
};
