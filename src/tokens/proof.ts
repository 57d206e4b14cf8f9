/** A DPoP proof that passed every check but its one-time use, which the commit of the lease consumes (RFC 9449 section 4.3). */
export interface DpopBinding {
  /** RFC 7638 SHA-256 thumbprint of the proof's key. */
  readonly jkt: string;
  readonly replayKey: string;
  /** Milliseconds after which the proof is too old to be accepted anyway. */
  readonly replayUntil: number;
}
