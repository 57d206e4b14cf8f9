import type { Issuer } from '../registry/entries.ts';
import type { Attestor, Discriminator, EvidenceProfile } from './attestor.ts';
import type { AttestorCatalogue } from './catalogue.ts';

/** An issuer entry with what its attestor makes of it, worked out once per version of the entry. */
export interface PreparedIssuer {
  readonly entry: Issuer;
  readonly attestor: Attestor;
  readonly profile: EvidenceProfile;
  readonly discriminator: Discriminator | undefined;
  /** The entry's own algorithms and replay rule where it names them, else the attestor's. */
  readonly algorithms: readonly string[];
  readonly replay: EvidenceProfile['replay'];
}

export type PrepareIssuer = (entry: Issuer) => PreparedIssuer | undefined;

/**
 * Undefined for a kind that is not in the catalogue: such an entry accepts nothing. Kept per entry object, which the registry
 * makes anew for every version, so a changed entry is never answered from an old one.
 */
export const createPrepareIssuer = (catalogue: AttestorCatalogue): PrepareIssuer => {
  const prepared = new WeakMap<Issuer, PreparedIssuer>();
  return (entry) => {
    const known = prepared.get(entry);
    if (known !== undefined) return known;
    const attestor = catalogue.find(entry.attestor);
    if (attestor === undefined) return undefined;
    const profile = profileOf(attestor, entry);
    const made: PreparedIssuer = {
      entry,
      attestor,
      profile,
      discriminator: attestor.discriminator(entry.options),
      algorithms: entry.algorithms ?? profile.algorithms,
      replay: entry.replay ?? profile.replay,
    };
    prepared.set(entry, made);
    return made;
  };
};

const profileOf = (attestor: Attestor, entry: Issuer): EvidenceProfile => {
  const profile = attestor.profile(entry.options);
  if (entry.proves === 'workloads' || entry.proves === 'domains') return profile;
  // An admin's command is several calls, and a login several commands: one token each would be a login each. The same goes for a
  // person whose agents work for hours.
  if (entry.proves === 'admins') return { ...profile, replay: 'within-session' };
  return { ...profile, replay: 'within-session', ...(profile.types === undefined ? {} : { types: [...profile.types, 'at+jwt'] }) };
};
