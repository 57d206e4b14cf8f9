import { githubActions } from './attestors/github-actions.ts';
import { gitlabCi } from './attestors/gitlab-ci.ts';
import { mayfly } from './attestors/mayfly.ts';
import { oidc } from './attestors/oidc.ts';
import type { Attestor } from './attestor.ts';

/** Every kind of evidence. To add one: its file in attestors/, and its entry here. */
export const ATTESTORS = [oidc, githubActions, gitlabCi, mayfly] as const;
export type AttestorKind = (typeof ATTESTORS)[number]['kind'];

export interface AttestorCatalogue {
  readonly kinds: readonly string[];
  readonly byKind: ReadonlyMap<string, Attestor>;
  /** Undefined for a kind that does not exist; the caller refuses. */
  find(kind: string): Attestor | undefined;
}

/** Throws on a doubled kind: one of the two would never be asked. Checked on the list itself, before any configuration names a kind. */
export const createAttestorCatalogue = (attestors: readonly Attestor[]): AttestorCatalogue => {
  const byKind = new Map(attestors.map((attestor) => [attestor.kind, attestor]));
  const kinds = attestors.map((attestor) => attestor.kind);
  if (byKind.size !== kinds.length) throw new Error(`attestor kind listed twice: ${kinds.filter((kind, at) => kinds.indexOf(kind) !== at).join(', ')}`);
  return { kinds, byKind, find: (kind) => byKind.get(kind) };
};

export const attestorCatalogue: AttestorCatalogue = createAttestorCatalogue(ATTESTORS);
