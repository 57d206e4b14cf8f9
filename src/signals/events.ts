const CAEP = 'https://schemas.openid.net/secevent/caep/event-type/';
const SSF = 'https://schemas.openid.net/secevent/ssf/event-type/';

/** Events that occur here (docs/signals.md says when). Others of CAEP 1.0 have no occurrence and are not offered. */
export const SESSION_REVOKED = `${CAEP}session-revoked`;
export const CREDENTIAL_CHANGE = `${CAEP}credential-change`;
export const RISK_LEVEL_CHANGE = `${CAEP}risk-level-change`;
export const EVENTS_SUPPORTED: readonly string[] = [SESSION_REVOKED, CREDENTIAL_CHANGE, RISK_LEVEL_CHANGE];

/** About the stream itself: they come whatever was asked for (SSF 1.0 section 8.1.4, 8.1.5). */
export const VERIFICATION = `${SSF}verification`;
export const STREAM_UPDATED = `${SSF}stream-updated`;

/** What a stream gets of what it asked for. */
export const deliveredOf = (requested: readonly string[] | null): readonly string[] => EVENTS_SUPPORTED.filter((type) => requested === null || requested.includes(type));
