import ipaddr from 'ipaddr.js';
import { isObject } from '../core/json.ts';
import type { Issuer } from './entries.ts';
import type { LintScene, Remark } from './lint-scene.ts';
import { ACTING_EVENTS } from './signals-schema.ts';

/** Events that run for people who cannot push (evidence.md A1 trap 1, A2), by the attestor option that lists what is accepted. */
export const RISKY_EVENTS: ReadonlySet<string> = new Set([
  'pull_request', 'pull_request_target', 'pull_request_review', 'pull_request_review_comment', 'issue_comment', 'issues', 'discussion', 'discussion_comment', 'workflow_run',
  'merge_request_event', 'external_pull_request_event', 'parent_pipeline',
]);
const EVENT_OPTIONS = ['events', 'pipeline_sources'];

/** Events the issuer entry lets through although they do not come from those who may push. */
export const riskyEventsOf = ({ options }: Issuer): readonly string[] =>
  EVENT_OPTIONS.flatMap((name) => {
    const listed = isObject(options) && Object.hasOwn(options, name) ? options[name] : undefined;
    return Array.isArray(listed) ? listed.filter((event): event is string => typeof event === 'string' && RISKY_EVENTS.has(event)) : [];
  });

/** Trust in an issuer that is wider than its platform needs. */
export const lintIssuer = (issuer: Issuer, scene: LintScene): readonly Remark[] => [...lintAudience(issuer, scene), ...lintReplay(issuer, scene), ...lintEvents(issuer), ...lintReach(issuer), ...lintSignals(issuer)];

const lintAudience = (issuer: Issuer, { audiences }: LintScene): readonly Remark[] => {
  const mend = 'remove the audience line to use the domain\'s issuer URL';
  if (audiences.has(issuer.audience)) return [{ rule: 'audience-shared', what: `${issuer.audience} is a resource's audience as well`, mend }];
  // GitHub's default is the owner's URL, GitLab's the instance; any token whose job did not ask for an audience has it.
  const isDefault = issuer.audience === issuer.issuer || /^https:\/\/github\.com\/[^/]+$/.test(issuer.audience) || issuer.audience === 'sigstore';
  return isDefault ? [{ rule: 'audience-of-platform', what: issuer.audience, mend }] : [];
};

const lintReplay = (issuer: Issuer, { deps }: LintScene): readonly Remark[] => {
  // One admin command is several calls with the same token.
  if (issuer.proves === 'admins') return [];
  const usual = deps.attestors.get(issuer.attestor)?.profile(issuer.options).replay;
  if ((issuer.replay ?? usual) !== 'within-session') return [];
  return usual === 'once'
    ? [{ rule: 'replay-within-session', mend: 'remove the replay line' }]
    : [{ rule: 'replay-possible', mend: 'set replay: once if each job asks for one credential only' }];
};

const lintEvents = (issuer: Issuer): readonly Remark[] => {
  const risky = riskyEventsOf(issuer);
  return risky.length === 0 ? [] : [{ rule: 'pull-request-events', what: risky.join(', '), mend: 'remove these events from the issuer' }];
};

const lintReach = (issuer: Issuer): readonly Remark[] => [
  ...(issuer.issuer.startsWith('http:') ? [{ rule: 'issuer-plain-http', what: issuer.issuer, mend: 'use an https issuer outside of development' } as const] : []),
  ...issuer.allowAddresses.flatMap((range) => lintRange(range)),
];

const lintSignals = ({ signals }: Issuer): readonly Remark[] => {
  if (signals === undefined) return [];
  const ignored = ACTING_EVENTS.filter((name) => signals.effects[name] === 'ignore');
  const plain = [...new Set([signals.transmitter, signals.jwksUri, signals.poll?.endpoint])].filter((url) => url?.startsWith('http:'));
  return [
    ...ignored.map((name): Remark => ({ rule: 'signals-ignored', what: name, mend: 'remove this line to let the event end what rests on the person' })),
    ...plain.map((url): Remark => ({ rule: 'issuer-plain-http', what: url ?? '', mend: 'use an https transmitter outside of development' })),
  ];
};

/** Wide: more than a subnet (256 addresses, or an IPv6 /64). Open: more than a site (a /16, or an IPv6 /48). */
const lintRange = (range: string): readonly Remark[] => {
  if (!ipaddr.isValidCIDR(range)) return [];
  const [address, bits] = ipaddr.parseCIDR(range);
  const [wide, open] = address.kind() === 'ipv4' ? [24, 16] : [64, 48];
  if (bits >= wide) return [];
  return [{ rule: bits < open ? 'addresses-open' : 'addresses-wide', what: range, mend: 'list the addresses of the issuer\'s key endpoint only' }];
};
