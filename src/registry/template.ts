import type { Attributes } from '../attestation/attributes.ts';
import { sha256 } from '../core/bytes.ts';
import { parseSpiffeId } from '../core/ids.ts';
import type { SpiffeId, WorkloadId } from '../core/ids.ts';
import type { Template, TemplateSegment, Workload } from './entries.ts';

/** `{namespace}/pods/{pod_uid}` in its parts; its form was checked when it was written. */
export const parseInstancePath = (written: string): readonly TemplateSegment[] =>
  written.split('/').map((segment) => Object.freeze(segment.startsWith('{') ? { attribute: segment.slice(1, -1) } : { text: segment }));

/** Attributes an instance is named by. */
export const namedBy = ({ path }: Template): readonly string[] => path.flatMap((segment) => ('attribute' in segment ? [segment.attribute] : []));

/**
 * The instance of a template that this evidence is; undefined where an attribute is missing or cannot be a segment as it stands. Nothing
 * is escaped or shortened: two values must never become one name. Its id follows from the template and the name, so every node and
 * every session computes the same, and what is revoked under it stays refused wherever it is shown next.
 */
export const instanceFor = (template: Workload, attributes: Attributes): Workload | undefined => {
  const segments = template.template?.path.map((segment) => ('text' in segment ? segment.text : segmentOf(attributes, segment.attribute))) ?? [];
  if (segments.length === 0 || segments.includes(undefined)) return undefined;
  const below = segments.join('/');
  const spiffeId = parseSpiffeId(`${template.spiffeId}/${below}`);
  return spiffeId === undefined ? undefined : asInstance(template, { id: instanceId(template.id, below), name: `${template.name}/${below}`, spiffeId });
};

/** An instance as it is registered, under its template as that is now. */
export const asInstance = (template: Workload, { id, name, spiffeId }: { readonly id: WorkloadId; readonly name: string; readonly spiffeId: SpiffeId }): Workload =>
  Object.freeze({ ...template, template: undefined, id, name, spiffeId, instanceOf: Object.freeze({ id: template.id, name: template.name, spiffeId: template.spiffeId }) });

const SEGMENT = /^[A-Za-z0-9._-]{1,128}$/;
const segmentOf = (attributes: Attributes, name: string): string | undefined => {
  const value = Object.hasOwn(attributes, name) ? attributes[name] : undefined;
  return typeof value === 'string' && SEGMENT.test(value) ? value : undefined;
};

const instanceId = (template: WorkloadId, below: string): WorkloadId => `wkl_${sha256(`mayfly-instance\0${template}\0${below}`).toString('hex').slice(0, 32)}` as WorkloadId;
