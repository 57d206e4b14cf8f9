/** What evidence proves, normalised. A missing name never matches anything. */
export type AttributeValue = string | number | boolean | readonly string[];
export type Attributes = Readonly<Record<string, AttributeValue>>;

/** One attribute an attestor can yield. */
export interface AttributeSpec {
  /** Immutable: the platform never gives this value to anybody else. Only such attributes identify; a workload's match rule needs one. */
  readonly immutable: boolean;
  /** Type in policies (`context.evidence.<kind>.<name>`). */
  readonly type: 'String' | 'Long' | 'Bool' | 'Set<String>';
  /** Present in every accepted evidence of the kind: policies may read it without `has`. */
  readonly required: boolean;
  readonly doc: string;
}
export type AttributeTable = Readonly<Record<string, AttributeSpec>>;
