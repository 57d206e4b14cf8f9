/** The reserved domain in which installation-wide actions are decided (design section 11). It issues nothing. */
export const SYSTEM_DOMAIN = 'system';
