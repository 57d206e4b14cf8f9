import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { AddressRules } from '../../src/outbound/address.ts';
import { checkCidr, isLoopbackHost, judgeAddress } from '../../src/outbound/address.ts';

const closed: AddressRules = { allowAddresses: [], loopback: false };

describe('without rules', () => {
  test.each([
    { name: 'an IPv4 address', address: '140.82.112.3' },
    { name: 'an IPv6 address', address: '2606:50c0:8000::153' },
    { name: 'an IPv4-mapped public address', address: '::ffff:140.82.112.3' },
    { name: 'NAT64 of a public address', address: '64:ff9b::8c52:7003' },
    { name: 'the neighbour below a private range', address: '9.255.255.255' },
    { name: 'the neighbour above a private range', address: '172.32.0.1' },
    { name: 'the neighbour of shared address space', address: '100.128.0.1' },
  ])('reaches $name', ({ address }) => {
    expect(judgeAddress(address, closed)).toBe('allowed');
  });

  test.each([
    { name: '10/8', address: '10.0.0.1' },
    { name: '172.16/12', address: '172.31.255.254' },
    { name: '192.168/16', address: '192.168.1.1' },
    { name: 'loopback', address: '127.0.0.1' },
    { name: 'all of 127/8', address: '127.8.8.8' },
    { name: 'shared address space (CGNAT)', address: '100.64.0.1' },
    { name: 'benchmarking', address: '198.18.0.1' },
    { name: 'documentation', address: '203.0.113.9' },
    { name: 'reserved', address: '240.0.0.1' },
    { name: 'IPv6 loopback', address: '::1' },
    { name: 'unique local', address: 'fd12:3456::1' },
    { name: 'site local', address: 'fec0::1' },
    { name: 'IPv6 documentation', address: '2001:db8::1' },
    { name: 'IPv4-mapped loopback', address: '::ffff:127.0.0.1' },
    { name: 'IPv4-mapped private, in hex', address: '::ffff:a00:1' },
    { name: 'IPv4-compatible loopback', address: '::7f00:1' },
    { name: 'NAT64 of a private address', address: '64:ff9b::a00:1' },
    { name: 'NAT64 for local use', address: '64:ff9b:1::808:808' },
    { name: '6to4', address: '2002:808:808::1' },
    { name: 'Teredo', address: '2001:0:4136:e378:8000:63bf:3fff:fdd2' },
    { name: 'IPv6 outside global unicast', address: '4000::1' },
  ])('refuses $name', ({ address }) => {
    expect(judgeAddress(address, closed)).toBe('address_not_public');
  });

  test.each(['', 'localhost', '2130706433', '0177.0.0.1', '0x7f.1', '127.1', 'fe80::1%eth0', '1.2.3.4/32', '1.2.3.4.'])('takes "%s" for no address', (address) => {
    expect(judgeAddress(address, closed)).toBe('address_malformed');
  });
});

describe('metadata, link-local and multicast addresses', () => {
  const open: AddressRules = { allowAddresses: ['10.0.0.0/8', '100.0.0.0/8', '168.0.0.0/8', '192.0.0.0/8', 'fc00::/7', '64:ff9b::/96', '2000::/7'], loopback: true };
  test.each([
    '169.254.169.254', '169.254.170.2', '169.254.170.23', '100.100.100.200', '168.63.129.16', '192.0.0.192', '0.0.0.0', '0.1.2.3', '224.0.0.1', '255.255.255.255',
    '::', 'fe80::1', 'ff02::1', 'fd00:ec2::254', 'fd00:ec2::23', 'fd20:ce::254', 'fd00:42::42', '::ffff:169.254.169.254', '::ffff:a9fe:a9fe', '64:ff9b::a9fe:a9fe',
    '64:ff9b:1::a9fe:a9fe', '2002:a9fe:a9fe::1', '::a9fe:a9fe', '2001:0:a9fe:a9fe::1', '2001::5601:5601',
    '::ffff:0:a9fe:a9fe', '2001:0:808:808::5601:5601',
  ])('never reaches %s, whatever is allowed', (address) => {
    expect(judgeAddress(address, open)).toBe('address_metadata');
  });

  test('reaches their neighbours when the range is allowed', () => {
    expect(judgeAddress('100.100.100.201', open)).toBe('allowed');
    expect(judgeAddress('fd00:ec3::254', open)).toBe('allowed');
  });

  test('stays unreachable through a range that could not be registered', () => {
    expect(judgeAddress('169.254.169.254', { allowAddresses: ['169.254.0.0/16', '0.0.0.0/0'], loopback: true })).toBe('address_metadata');
  });
});

describe('rules', () => {
  test('open exactly the range they name', () => {
    const rules: AddressRules = { allowAddresses: ['10.20.0.0/16'], loopback: false };
    expect(judgeAddress('10.20.255.255', rules)).toBe('allowed');
    expect(judgeAddress('::ffff:10.20.0.1', rules)).toBe('allowed');
    expect(judgeAddress('10.21.0.0', rules)).toBe('address_not_public');
  });

  test('open loopback only where development allows it', () => {
    expect(judgeAddress('127.0.0.1', { allowAddresses: [], loopback: true })).toBe('allowed');
    expect(judgeAddress('::1', { allowAddresses: [], loopback: true })).toBe('allowed');
    expect(judgeAddress('10.0.0.1', { allowAddresses: [], loopback: true })).toBe('address_not_public');
  });

  test('that open everything open nothing', () => {
    expect(judgeAddress('10.0.0.1', { allowAddresses: ['0.0.0.0/0', '10.0.0.1/8', 'nonsense'], loopback: false })).toBe('address_not_public');
  });
});

describe('checkCidr', () => {
  test.each(['10.0.0.0/8', '10.20.30.40/32', '127.0.0.0/8', 'fc00::/7', 'fd00:1234::/32', '::1/128'])('accepts %s', (cidr) => {
    expect(checkCidr(cidr)).toBeUndefined();
  });

  test.each([
    { cidr: '10.0.0.0', says: 'is not an address range' },
    { cidr: '10.0.0.0/33', says: 'is not an address range' },
    { cidr: '10.0.0.0/8/8', says: 'is not an address range' },
    { cidr: '0x0a.0.0.0/8', says: 'is not an address range' },
    { cidr: '10.0.0.0/8x', says: 'is not an address range' },
    { cidr: '10.0.0.0/+8', says: 'is not an address range' },
    { cidr: '10.0.0.0/', says: 'is not an address range' },
    { cidr: 'fe80::%1/64', says: 'is not an address range' },
    { cidr: '10.1.0.0/8', says: 'write 10.0.0.0/8' },
    { cidr: '0.0.0.0/0', says: 'opens too much' },
    { cidr: '::/0', says: 'opens too much' },
    { cidr: '169.254.0.0/16', says: 'never connected to' },
    { cidr: '169.254.169.254/32', says: 'never connected to' },
    { cidr: 'fe80::/10', says: 'never connected to' },
  ])('refuses $cidr and says why', ({ cidr, says }) => {
    const { message, mend } = checkCidr(cidr) ?? { message: '', mend: '' };
    expect(`${message}: ${mend}`).toContain(says);
  });
});

test('knows the hosts that plain http may name', () => {
  expect(['localhost', '127.0.0.1', '127.9.9.9', '[::1]', '[::ffff:127.0.0.1]'].map(isLoopbackHost)).toEqual([true, true, true, true, true]);
  expect(['localhost.evil.example', '10.0.0.1', '[::2]', 'evil.example', '127.0.0.1.evil.example'].map(isLoopbackHost)).toEqual([false, false, false, false, false]);
});

test('gives an IPv4 address and its mapped form the same verdict', () => {
  fc.assert(
    fc.property(fc.ipV4(), (address) => {
      expect(judgeAddress(`::ffff:${address}`, closed)).toBe(judgeAddress(address, closed));
    }),
    { numRuns: 300 },
  );
});
