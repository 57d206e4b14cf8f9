import type { Attributes } from '../attributes.ts';

/**
 * Compares a `sub` of a default form with the discrete claims (evidence.md A1): `repo:O/R:<context>` or, since 2026-07-15,
 * `repo:O@OWNERID/R@REPOID:<context>`, context `environment:E`, `pull_request` or `ref:R`. A custom template may make `sub`
 * anything, so a subject that does not begin with `repo:` says nothing here; one that does must name this repository.
 * Returns what disagrees.
 */
export const checkGithubSubject = (sub: string, attributes: Attributes): string | undefined => {
  if (!sub.startsWith('repo:')) return undefined;
  const parts = REPOSITORY.exec(sub)?.groups;
  if (parts === undefined) return 'sub begins with repo: but names no repository';
  const { owner, ownerId, name, nameId, context } = parts;
  if (`${String(owner)}/${String(name)}` !== attributes['repository'] || owner !== attributes['repository_owner']) return 'sub names another repository than the claims';
  if ((ownerId === undefined) !== (nameId === undefined)) return 'sub carries one id only';
  if (ownerId !== undefined && (ownerId !== attributes['repository_owner_id'] || nameId !== attributes['repository_id'])) return 'ids in sub are not those of the claims';
  return context === undefined ? undefined : checkContext(context, attributes);
};

// '@' occurs in no owner's or repository's name, so the two forms cannot be taken for one another.
const REPOSITORY = /^repo:(?<owner>[^/:@]+)(?:@(?<ownerId>[0-9]+))?\/(?<name>[^/:@]+)(?:@(?<nameId>[0-9]+))?(?::(?<context>.+))?$/s;

/** A context with a further ':' is of a custom template (values are escaped as %3A), and not compared. */
const checkContext = (context: string, attributes: Attributes): string | undefined => {
  const [word, value, ...rest] = context.split(':');
  if (rest.length > 0) return undefined;
  if (context === 'pull_request') return String(attributes['event_name']).startsWith('pull_request') ? undefined : 'sub speaks of a pull request, event_name does not';
  if (word === 'environment') return unescape(value) === attributes['environment'] ? undefined : 'sub names another environment than the claims';
  if (word === 'ref') return unescape(value) === attributes['ref'] ? undefined : 'sub names another ref than the claims';
  return undefined;
};

const unescape = (value: string | undefined): string | undefined => value?.replaceAll(/%3A/gi, ':');
