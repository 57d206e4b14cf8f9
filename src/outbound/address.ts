import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';

type Address = ipaddr.IPv4 | ipaddr.IPv6;
type Range = readonly [Address, number];

export type AddressVerdict = 'allowed' | 'address_malformed' | 'address_metadata' | 'address_not_public';

/** What may be reached beside public addresses. */
export interface AddressRules {
  /** CIDRs, each accepted by {@link checkCidr}. */
  readonly allowAddresses: readonly string[];
  /** Loopback, for plain http in `development` domains. */
  readonly loopback: boolean;
}

/**
 * Judges one resolved address (RFC 6890; cloud metadata services). Everything that is not global unicast is refused unless
 * a rule opens it. Addresses that carry an IPv4 address are judged by both: NAT64 of 169.254.169.254 is 169.254.169.254.
 */
export const judgeAddress = (raw: string, rules: AddressRules): AddressVerdict => {
  const address = parseAddress(raw);
  if (address === undefined) return 'address_malformed';
  const forms = [address, ...embeddedIPv4(address)];
  if (forms.some((form) => NEVER.some((range) => contains(range, form)))) return 'address_metadata';
  if (rules.loopback && isLoopback(address)) return 'allowed';
  if (rules.allowAddresses.some((cidr) => inCidr(cidr, address))) return 'allowed';
  return isPublic(address) ? 'allowed' : 'address_not_public';
};

/** Why `raw` cannot stand in `allow_addresses`, and the mend; undefined if it can. */
export const checkCidr = (raw: string): { readonly message: string; readonly mend: string } | undefined => {
  const range = parseCidr(raw);
  if (range === undefined) return { message: `${raw} is not an address range`, mend: 'write it like 10.20.0.0/24' };
  const [network, bits] = range;
  if (network.toString() !== networkOf(raw)) return { message: `${raw} has bits set beyond its prefix`, mend: `write ${networkOf(raw)}/${bits}` };
  if (bits < (network.kind() === 'ipv4' ? 8 : 7)) return { message: `${raw} opens too much`, mend: 'name the ranges the issuer lives in, at most a /8 (IPv6: a /7)' };
  // NEVER wins over every rule anyway; saying so here keeps an admin from believing otherwise.
  if (NEVER.some((never) => never[1] <= bits && contains(never, network))) return { message: `${raw} holds metadata, link-local, unspecified or multicast addresses, which are never connected to`, mend: 'remove it' };
  return undefined;
};

/** True for a host that plain http may name: a loopback literal or `localhost` (RFC 6761 section 6.3). */
export const isLoopbackHost = (hostname: string): boolean => {
  if (hostname === 'localhost') return true;
  const address = parseAddress(hostname.replace(/^\[(.*)\]$/, '$1'));
  return address !== undefined && isLoopback(address);
};

const range = (cidr: string): Range => ipaddr.parseCIDR(cidr);

/** No rule opens these. Beyond link-local: the metadata and platform services that clouds put on other addresses. */
const NEVER: readonly Range[] = [
  range('0.0.0.0/8'), // Linux connects 0.0.0.0 to this host
  range('169.254.0.0/16'),
  range('100.100.100.200/32'), // Alibaba Cloud
  range('168.63.129.16/32'), // Azure's wire server, a public-looking address
  range('192.0.0.192/32'), // Oracle Cloud (classic)
  range('224.0.0.0/4'),
  range('255.255.255.255/32'),
  range('::/128'),
  range('fe80::/10'),
  range('ff00::/8'),
  range('fd00:ec2::/32'), // AWS: metadata ::254, pod identity ::23, DNS and time
  range('fd20:ce::254/128'), // Google Cloud
  range('fd00:42::42/128'), // Scaleway
];

const GLOBAL_UNICAST_V6 = range('2000::/3');
const NAT64 = range('64:ff9b::/96');
const NAT64_LOCAL = range('64:ff9b:1::/48');
const IPV4_COMPATIBLE = range('::/96');
const IPV4_TRANSLATED = range('::ffff:0:0:0/96');

/** Only what `node:net` calls an address: ipaddr.js alone would also read `0177.1` and `2130706433`. Mapped IPv4 becomes IPv4. */
const parseAddress = (raw: string): Address | undefined => (isIP(raw) === 0 || raw.includes('%') ? undefined : ipaddr.process(raw));

const contains = ([network, bits]: Range, address: Address): boolean => network.kind() === address.kind() && address.match(network, bits);

const isLoopback = (address: Address): boolean => address.range() === 'loopback';

const isPublic = (address: Address): boolean => {
  if (address.kind() === 'ipv4') return address.range() === 'unicast';
  // RFC 6052 section 3.1: the well-known NAT64 prefix stands for the IPv4 address in it.
  if (contains(NAT64, address)) return embeddedIPv4(address).every(isPublic);
  return address.range() === 'unicast' && contains(GLOBAL_UNICAST_V6, address);
};

/** IPv4 addresses an IPv6 address would be turned into on its way: NAT64, 6to4 (RFC 3056), Teredo (RFC 4380), compatible and translated forms. */
const embeddedIPv4 = (address: Address): ipaddr.IPv4[] => {
  if (address.kind() === 'ipv4' || isLoopback(address)) return []; // ::1 lies in the compatible form's prefix
  const bytes = address.toByteArray();
  const at = (offset: number, flip = 0): ipaddr.IPv4 => new ipaddr.IPv4(bytes.slice(offset, offset + 4).map((byte) => byte ^ flip));
  if ([NAT64, NAT64_LOCAL, IPV4_COMPATIBLE, IPV4_TRANSLATED].some((prefix) => contains(prefix, address))) return [at(12)];
  if (address.range() === '6to4') return [at(2)];
  if (address.range() === 'teredo') return [at(4), at(12, 0xff)];
  return [];
};

const parseCidr = (raw: string): Range | undefined => {
  const [network = '', bits = '', ...rest] = raw.split('/');
  const canonical = rest.length === 0 && isIP(network) !== 0 && !network.includes('%') && /^\d{1,3}$/.test(bits);
  return canonical && ipaddr.isValidCIDR(raw) ? ipaddr.parseCIDR(raw) : undefined;
};

const networkOf = (raw: string): string => (raw.includes(':') ? ipaddr.IPv6.networkAddressFromCIDR(raw) : ipaddr.IPv4.networkAddressFromCIDR(raw)).toString();

/** A CIDR that {@link checkCidr} refuses opens nothing: the registry refused it already, so this is the second lock. */
const inCidr = (cidr: string, address: Address): boolean => {
  const allowed = checkCidr(cidr) === undefined ? parseCidr(cidr) : undefined;
  return allowed !== undefined && contains(allowed, address);
};
