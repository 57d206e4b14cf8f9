import { describe, expect, test } from '@jest/globals';
import express from 'express';
import { z } from 'zod';
import { parseServerConfig, serverConfigSchema } from '../../src/config/server-config.ts';

const problems = (raw: unknown): readonly string[] => {
  const parsed = parseServerConfig(raw);
  return parsed.ok ? [] : parsed.error.map(({ path, message }) => `${path}: ${message}`);
};
const paths = (raw: unknown): readonly string[] => problems(raw).map((problem) => problem.split(':')[0] ?? '');

describe('settings', () => {
  test('tell every problem at once, each with its path', () => {
    expect(paths({
      listen: 'nowhere', external_url: 'ftp://x', data_dir: '', database_url: 'mysql://x', kek: { file: 1, extra: true }, admin: { socket: 1, listen: ':', external_url: 'http://admin.acme.example', url: 'x' }, tls: { cert_file: 'c' },
      trusted_proxies: ['10.0.0.0/8', 'x'], limits: { per_address: 0, per_wrkload: 5 }, metrics: { public: 'yes' }, log_level: 'loud', workers: 0, issuer_stale_seconds: -1, wrokers: 2,
    }).toSorted()).toEqual([
      'admin.external_url', 'admin.listen', 'admin.socket', 'admin.url', 'data_dir', 'database_url', 'external_url', 'issuer_stale_seconds', 'kek.extra', 'kek.file', 'limits.per_address', 'limits.per_wrkload', 'listen',
      'log_level', 'metrics.public', 'tls.key_file', 'trusted_proxies.1', 'workers', 'wrokers',
    ]);
  });

  test.each([
    { name: 'https', url: 'https://sts.acme.example', as: 'https://sts.acme.example' },
    { name: 'a path and a slash at its end', url: 'https://ACME.example/sts/', as: 'https://acme.example/sts' },
    { name: 'plain http on loopback', url: 'http://127.0.0.1:8420', as: 'http://127.0.0.1:8420' },
    { name: 'plain http on IPv6 loopback', url: 'http://[::1]:8420', as: 'http://[::1]:8420' },
  ])('take an external URL with $name', ({ url, as }) => {
    expect(parseServerConfig({ external_url: url })).toMatchObject({ ok: true, value: { external_url: as } });
  });

  test.each(['http://sts.acme.example', 'https://u:p@sts.acme.example', 'https://sts.acme.example/?', 'https://sts.acme.example/?a=b', 'https://sts.acme.example/#', 'http://localhost.evil.example', 'file:///etc/passwd', 'sts.acme.example'])('refuse the external URL %s', (url) => {
    expect(paths({ external_url: url })).toEqual(['external_url']);
  });

  test.each([
    { name: 'host and port', text: '0.0.0.0:80', as: { kind: 'tcp', host: '0.0.0.0', port: 80 } },
    { name: 'an IPv6 address', text: '[::1]:80', as: { kind: 'tcp', host: '::1', port: 80 } },
    { name: 'a socket', text: 'unix:/run/mayfly.sock', as: { kind: 'unix', path: '/run/mayfly.sock' } },
  ])('listen on $name', ({ text, as }) => {
    expect(parseServerConfig({ listen: text })).toMatchObject({ ok: true, value: { listen: as } });
  });

  test.each(['80', ':80', '::1:80', '[::1]', '[zz]:80', 'host:65536', 'host:-1', 'unix:', 'host: 80'])('do not listen on %s', (text) => {
    expect(paths({ listen: text })).toEqual(['listen']);
  });

  test.each(['10.0.0.0/8', '10.0.0.5/32', '10.1/16', '::1/128', '2001:db8::/32', '::ffff:10.0.0.0/104'])('trust the proxies in %s, and Express understands them', (range) => {
    const parsed = parseServerConfig({ trusted_proxies: [range] });
    expect(parsed.ok && express().set('trust proxy', [...parsed.value.trusted_proxies]).get('trust proxy')).toHaveLength(1);
  });

  test.each(['0.0.0.0/0', '::/0', '10.0.0.0', 'loopback', '10.0.0.0/33', ''])('do not trust %s', (range) => {
    expect(paths({ trusted_proxies: [range] })).toEqual(['trusted_proxies.0']);
  });

  test.each([
    { name: 'a file', secrets: { 'prod/corp': { file: '/run/secrets/corp' } }, wrong: [] },
    { name: 'a variable', secrets: { 'prod/corp': { env: 'CORP' } }, wrong: [] },
    { name: 'both', secrets: { 'prod/corp': { file: 'x', env: 'CORP' } }, wrong: ['signals.secrets.prod/corp'] },
    { name: 'the secret itself', secrets: { 'prod/corp': 'hunter2' }, wrong: ['signals.secrets.prod/corp'] },
    { name: 'a value', secrets: { 'prod/corp': { value: 'hunter2' } }, wrong: ['signals.secrets.prod/corp'] },
    { name: 'one for every issuer of a domain', secrets: { prod: { file: 'x' } }, wrong: ['signals.secrets.prod'] },
    { name: 'one for every domain', secrets: { '*/corp': { file: 'x' } }, wrong: ['signals.secrets.*/corp'] },
  ])('name secrets of transmitters by $name', ({ secrets, wrong }) => {
    expect(paths({ signals: { secrets } })).toEqual(wrong);
    expect(problems({ signals: { secrets } }).join()).not.toContain('hunter2');
  });

  test('are each described', () => {
    const undescribed = (schema: z.core.JSONSchema.BaseSchema, path: string): readonly string[] =>
      Object.entries(schema.properties ?? {}).flatMap(([name, member]) => (typeof member === 'boolean' ? [] : [...(member.description === undefined ? [`${path}${name}`] : []), ...undescribed(member, `${path}${name}.`)]));
    expect(undescribed(z.toJSONSchema(serverConfigSchema, { io: 'input', unrepresentable: 'any' }), '')).toEqual([]);
  });

  test('cannot be changed once they are read', () => {
    const parsed = parseServerConfig({});
    expect(parsed.ok && Object.isFrozen(parsed.value)).toBe(true);
  });
});
