import { hash, timingSafeEqual } from 'node:crypto';

export const base64url = (bytes: Uint8Array): string => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64url');

export const sha256 = (data: string | Uint8Array): Buffer => hash('sha256', data, 'buffer');

/** SHA-256, base64url without padding: the form in which issued credentials are kept. */
export const sha256url = (data: string | Uint8Array): string => hash('sha256', data, 'base64url');

/** Compares secrets without telling by time where they differ. */
export const sameSecret = (a: string, b: string): boolean => timingSafeEqual(sha256(a), sha256(b));
