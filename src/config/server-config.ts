import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';
import { z } from 'zod';
import { err, ok } from '../core/result.ts';
import type { Result } from '../core/result.ts';

/**
 * The server's own settings, as opposed to the registry, which `mayfly apply` fills. Every field has a default that is
 * safe on a laptop; unknown fields are problems, and every problem is told at once with its path.
 */

/** `host:port`, `[v6]:port` or `unix:/path`. */
export type Listen = { readonly kind: 'tcp'; readonly host: string; readonly port: number } | { readonly kind: 'unix'; readonly path: string };

const parseListen = (raw: string): Listen | undefined => {
  if (raw.startsWith('unix:')) return raw.length > 'unix:'.length ? { kind: 'unix', path: raw.slice('unix:'.length) } : undefined;
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]\s]+)):(\d{1,5})$/.exec(raw);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (host === undefined || port > 65_535 || (match?.[1] !== undefined && isIP(host) !== 6)) return undefined;
  return { kind: 'tcp', host, port };
};

const listen = z.string().transform((raw, context): Listen => {
  const parsed = parseListen(raw);
  if (parsed !== undefined) return parsed;
  context.addIssue({ code: 'custom', message: 'write host:port, [v6-address]:port or unix:/path' });
  return z.NEVER;
});

const cidr = z.string().transform((raw, context): string => {
  const [range, bits] = ipaddr.isValidCIDR(raw) ? ipaddr.parseCIDR(raw) : [];
  if (range !== undefined && bits !== 0) return `${range.toString()}/${bits ?? ''}`;
  context.addIssue({ code: 'custom', message: bits === 0 ? 'a range of all addresses would let every caller choose its address: name your proxies' : 'write an address range such as 10.0.0.0/8' });
  return z.NEVER;
});

/** As issuers name them (`allow_addresses`); what a range must not open, outbound/address.ts refuses whatever is written here. */
const addressRange = z.string().transform((raw, context): string => {
  const [range, bits = 0] = ipaddr.isValidCIDR(raw) ? ipaddr.parseCIDR(raw) : [];
  if (range !== undefined && bits >= (range.kind() === 'ipv4' ? 8 : 7)) return raw;
  context.addIssue({ code: 'custom', message: range === undefined ? 'write an address range such as 10.20.0.0/24' : 'opens too much: name the ranges the receivers live in, at most a /8 (IPv6: a /7)' });
  return z.NEVER;
});

const externalUrl = z.string().transform((raw, context): string => {
  const url = URL.canParse(raw) ? new URL(raw) : undefined;
  const loopback = url !== undefined && ['127.0.0.1', 'localhost', '[::1]'].includes(url.hostname);
  const plain = url !== undefined && !/[?#]/.test(raw) && url.username === '' && url.password === '';
  if (url === undefined || !plain || (url.protocol !== 'https:' && !(url.protocol === 'http:' && loopback))) {
    context.addIssue({ code: 'custom', message: 'write the https URL under which callers reach this server, without query or fragment (http only for loopback)' });
    return z.NEVER;
  }
  return url.href.replace(/\/+$/, '');
});

const secretSource = z.union([
  z.strictObject({ file: z.string().min(1).describe('file with the value; read anew whenever it is needed') }),
  z.strictObject({ env: z.string().min(1).describe('name of an environment variable with the value') }),
]);

export const serverConfigSchema = z.strictObject({
  listen: listen.default({ kind: 'tcp', host: '127.0.0.1', port: 8420 }).describe('where token, introspection and metadata endpoints are served'),
  external_url: externalUrl.optional().describe('URL under which callers reach the server; default: from listen'),
  data_dir: z.string().min(1).default('./data').describe('folder of the SQLite file, the key-encryption key and the admin socket'),
  database_url: z.string().regex(/^(postgres(ql)?:\/\/|file:)/, 'write postgresql://... or file:...').optional().describe('default: SQLite in data_dir'),
  kek: z.strictObject({
    file: z.string().optional().describe('file with 32 bytes in base64; default: data_dir/kek on SQLite'),
    env: z.string().optional().describe('name of an environment variable with 32 bytes in base64'),
    previous_files: z.array(z.string()).default([]).describe('older keys that may still have sealed rows; `mayfly keys rewrap` ends their use'),
  }).default({ previous_files: [] }).describe('the key-encryption key, under which private keys are stored'),
  admin: z.strictObject({
    socket: z.string().optional().describe('unix socket of the admin API; default: data_dir/admin/mayfly.sock'),
    listen: listen.optional().describe('admin API over HTTP, for OIDC tokens of issuers that prove admins; off unless set'),
    external_url: externalUrl.optional().describe('URL under which admins reach admin.listen, as their DPoP proofs name it; default: from admin.listen'),
  }).default({}).describe('where admins come in'),
  tls: z.strictObject({ cert_file: z.string().describe('PEM file with the certificate chain'), key_file: z.string().describe('PEM file with its private key') }).optional().describe('serve TLS; without it put a proxy in front'),
  approvals: z.strictObject({
    webhooks: z.record(z.string(), z.strictObject({
      url: z.string().min(1).max(2048).describe('https URL that is told of requests which wait for people'),
      secret_file: z.string().min(1).optional().describe('file with its signing secret, whsec_ and base64'),
      secret_env: z.string().min(1).optional().describe('name of an environment variable with it'),
      allow_addresses: z.array(z.string()).max(50).default([]).describe('address ranges beyond public ones where it may be reached'),
    })).default({}).describe('by name of the trust domain: where to tell people that a request waits for them'),
  }).default({ webhooks: {} }).describe('requests that wait for people'),
  trusted_proxies: z.array(cidr).default([]).describe('address ranges whose X-Forwarded-For counts; without it forwarded headers are ignored'),
  limits: z.strictObject({
    per_address: z.int().min(1).max(1_000_000).default(100).describe('requests per second and address, before evidence is verified'),
    per_workload: z.int().min(1).max(1_000_000).default(50).describe('exchanges per second and workload'),
    in_flight: z.int().min(1).max(100_000).default(1000).describe('requests served at once; more get 503'),
  }).default({ per_address: 100, per_workload: 50, in_flight: 1000 }).describe('what callers may take'),
  metrics: z.strictObject({ public: z.boolean().default(false).describe('serve /metrics on the public listener too') }).default({ public: false }).describe('Prometheus metrics; always on the admin listeners'),
  log_level: z.enum(['debug', 'info', 'warn', 'error', 'silent']).default('info').describe('least important lines that are written'),
  workers: z.int().min(1).max(256).default(1).describe('serving processes'),
  signals: z.strictObject({
    allow_addresses: z.array(addressRange).default([]).describe('address ranges beyond public ones where event receivers may be'),
    secrets: z.record(z.string().regex(/^[a-z][a-z0-9-]{0,30}\/[a-z][a-z0-9-]{0,62}$/, 'name the issuer as domain/name'), secretSource).default({})
      .describe('by domain/issuer: the Authorization header that event transmitters send or want to see'),
  }).default({ allow_addresses: [], secrets: {} }).describe('security events: to receivers, and of trusted issuers'),
  issuer_stale_seconds: z.int().min(0).max(86_400).default(3600).describe('how long cached issuer keys may be used while the issuer is down'),
});
export type ServerConfig = z.infer<typeof serverConfigSchema>;
export type RawServerConfig = z.input<typeof serverConfigSchema>;

export interface ConfigProblem { readonly path: string; readonly message: string }

export const parseServerConfig = (raw: unknown): Result<ServerConfig, readonly ConfigProblem[]> => {
  const parsed = serverConfigSchema.safeParse(raw ?? {});
  if (parsed.success) return ok(Object.freeze(parsed.data));
  return err(parsed.error.issues.flatMap((issue) => {
    const path = issue.path.map(String);
    if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => ({ path: [...path, key].join('.'), message: 'there is no such setting' }));
    return [{ path: path.length === 0 ? '(file)' : path.join('.'), message: issue.message }];
  }));
};
