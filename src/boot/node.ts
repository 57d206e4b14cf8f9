import { createAuthorize, createJudge } from '../admin/access.ts';
import { createApprovalAdmin } from '../admin/approvals.ts';
import { createAuditAdmin } from '../admin/audit.ts';
import { createExplain } from '../admin/explain.ts';
import { createKeyAdmin } from '../admin/keys.ts';
import { createLintAdmin } from '../admin/lint.ts';
import { createRecordAdmin } from '../admin/records.ts';
import { createRegistryAdmin } from '../admin/registry.ts';
import { createRevocationRecords } from '../admin/revocation-records.ts';
import { createRevocationAdmin } from '../admin/revocations.ts';
import { createTaskAdmin } from '../admin/tasks.ts';
import { createSimulate } from '../admin/simulate.ts';
import { createAttest } from '../attestation/attest.ts';
import type { Presented } from '../attestation/envelope.ts';
import { createAttestCrossing } from '../attestation/attest-crossing.ts';
import { approverApplications, createAttestPerson } from '../attestation/attest-person.ts';
import { createVerifyEvidence } from '../attestation/verify-evidence.ts';
import { ATTESTORS, attestorCatalogue } from '../attestation/catalogue.ts';
import { createSecrets } from '../config/secrets.ts';
import type { ServerConfig } from '../config/server-config.ts';
import { createAuditCodes } from '../core/audit-code.ts';
import type { Clock } from '../core/clock.ts';
import { SECOND } from '../core/duration.ts';
import type { DecisionId, DomainId } from '../core/ids.ts';
import type { Random } from '../core/random.ts';
import { refusal } from '../core/refusal.ts';
import { createProviders } from '../credentials/catalogue.ts';
import { CROSSING_TOKEN } from '../credentials/providers/domain.ts';
import { AWS_DEFAULT_AUDIENCE } from '../credentials/reserved-audiences.ts';
import { createWantedKeys } from '../credentials/wanted-keys.ts';
import type { WantingResource } from '../credentials/wanted-keys.ts';
import { createAgree } from '../exchange/agree.ts';
import { createAuthenticate } from '../exchange/authenticate.ts';
import { countFaults } from '../exchange/counted.ts';
import { createDefer } from '../exchange/defer.ts';
import { createDenials } from '../exchange/denials.ts';
import { createDomainKeys } from '../exchange/domain-keys.ts';
import { createExchange } from '../exchange/exchange.ts';
import { findFalling, honouredEntries } from '../exchange/falling.ts';
import { createIntrospect } from '../exchange/introspect.ts';
import { createMint } from '../exchange/mint.ts';
import { createRedeem } from '../exchange/redeem.ts';
import { createResume } from '../exchange/resume.ts';
import { createRevokeToken } from '../exchange/revoke-token.ts';
import { createJoinStored } from '../exchange/stored-session.ts';
import { createSpend } from '../exchange/spend.ts';
import { traceExchange } from '../exchange/traced.ts';
import { signSessionToken, HANDOVER_TOKEN, SESSION_TOKEN, SESSION_TOKEN_SECONDS } from '../exchange/session-token.ts';
import { createFindAdmin } from '../http/admin-caller.ts';
import { createFindApprover } from '../http/approver.ts';
import { createPossessionCheck } from '../http/caller.ts';
import type { DomainNonces } from '../http/domain-endpoints.ts';
import { createRateLimit } from '../http/limits.ts';
import type { KeyEncryption } from '../keys/kek.ts';
import { carryOut, planMissingKeys } from '../keys/key-plan.ts';
import { openKeyRing } from '../keys/key-ring.ts';
import { createKeyOpener } from '../keys/signing-key.ts';
import { createGuardedFetch } from '../outbound/fetch.ts';
import { createIssuerKeys } from '../outbound/issuer-keys.ts';
import { createPolicyEngineFactory } from '../policy/engine.ts';
import { createPolicySchema } from '../policy/schema.ts';
import { createPolicyValidator, parseStatement } from '../policy/validate.ts';
import { createEntryDecoder } from '../registry/decode.ts';
import { createIdentifyIndex } from '../registry/identify.ts';
import type { Entry } from '../registry/entries.ts';
import { lint } from '../registry/lint.ts';
import { policyShape } from '../registry/lint-policies.ts';
import type { LintDeps } from '../registry/lint-scene.ts';
import { renderPlan } from '../registry/render.ts';
import { createPlanner } from '../registry/resolve.ts';
import { createPoll } from '../signals/poll.ts';
import { createReceive } from '../signals/receive.ts';
import { createVerifySet } from '../signals/received-set.ts';
import { createRewrapStreams } from '../signals/secret.ts';
import { createSnapshot } from '../snapshot/snapshot.ts';
import { createStatusEntries } from '../status/entries.ts';
import { createStatusLists } from '../status/lists.ts';
import type { DomainView } from '../snapshot/domain-view.ts';
import type { DenialRow, KeyRow } from '../store/rows.ts';
import type { RegistryChange, RegistryOutcome, Store } from '../store/store.ts';
import type { Log } from '../telemetry/log.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { createInSpan } from '../telemetry/trace.ts';
import { signAwsToken } from '../tokens/aws.ts';
import { createNonces } from '../tokens/nonce.ts';
import { signAs, signToken } from '../tokens/sign.ts';
import { verifyToken } from '../tokens/verify.ts';
import { auditCodeKeys } from './kek.ts';
import { adminUrlOf } from './place.ts';
import { createSignals } from './signals.ts';

export interface NodeDeps {
  readonly config: ServerConfig;
  readonly externalUrl: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly store: Store;
  readonly encryption: KeyEncryption;
  /** Finds a refusal that only the memory of another process of this server holds. */
  denialElsewhere?(id: DecisionId): Promise<DenialRow | undefined>;
}

/** A session token of a domain nobody loaded cannot be: the view is looked up where the key is needed. */
const NO_DOMAIN = refusal('domain_not_ready', 'the domain is not loaded');

/** Wires one node by hand: every room gets what it needs and nothing more (docs/exchange.md shows the same as a picture). */
export const createNode = (deps: NodeDeps) => {
  const { clock, random, log, store, encryption, metrics, externalUrl } = deps;
  const attestors = attestorCatalogue.byKind;
  const schema = createPolicySchema(new Map(ATTESTORS.filter(({ kind }) => kind !== 'oidc' && kind !== 'mayfly').map((attestor) => [attestor.kind as string, attestor.attributeTable(undefined as never)])));
  const validatePolicy = createPolicyValidator(schema);
  const fetch = createGuardedFetch();
  const ringOf = (id: DomainId) => snapshot.domainById(id)?.ring;
  const domainByIssuer = (iss: string) => snapshot.domains().find(({ domain }) => domain.issuer === iss);
  const noDomain = { ok: false, error: NO_DOMAIN } as const;
  const statusEntries = createStatusEntries({ clock, random, store, log });
  const providers = createProviders({
    clock, fetch,
    signAccessToken: (domainId, claims, algorithm) => {
      const ring = ringOf(domainId);
      return ring === undefined ? noDomain : signToken(claims, ring, algorithm);
    },
    takeStatusEntry: (domain) => statusEntries.take(domain),
    signAwsToken: (domainId, facts) => {
      const ring = ringOf(domainId);
      return ring === undefined ? noDomain : signAwsToken(facts, ring);
    },
  });
  const catalogues = { attestors, providers };
  const decoder = createEntryDecoder(catalogues);
  const openKey = createKeyOpener(encryption);

  const snapshot = createSnapshot({
    clock, store,
    decode: (row) => {
      const decoded = decoder.decode(row);
      return decoded.ok ? decoded : { ok: false, error: decoded.error.why };
    },
    createIndex: () => createIdentifyIndex(),
    buildEngine: createPolicyEngineFactory({ schema, random }),
    openRing: (rows) => openKeyRing(rows, openKey),
  });

  /** A change is told to who made it only after this node answers by it. */
  const change = async (registryChange: RegistryChange): Promise<RegistryOutcome> => {
    const outcome = await store.change(registryChange);
    await snapshot.refresh();
    return outcome;
  };
  const wantedKeys = createWantedKeys(providers);
  const planMissing = (domain: DomainId, rows: readonly KeyRow[], resources: readonly WantingResource[], now: number) => planMissingKeys(domain, rows, now, wantedKeys(resources, now));
  const firstKeys = (domain: DomainId) => carryOut(planMissing(domain, [], [], clock.now()), encryption);

  const issuerKeys = createIssuerKeys({
    fetch, clock, staleIfError: deps.config.issuer_stale_seconds * SECOND,
    isDevelopment: (domainId) => snapshot.domainById(domainId as DomainId)?.domain.stage === 'development',
  });
  const verifyEvidence = createVerifyEvidence({ clock, catalogue: attestorCatalogue, keys: createDomainKeys({ clock, domainByIssuer, others: issuerKeys }) });
  const attest = createAttest({ clock, verify: verifyEvidence });
  const attestPerson = createAttestPerson({ clock, verify: verifyEvidence });
  const attestCrossing = createAttestCrossing({ clock, verify: verifyEvidence });
  const attestWorkload = (token: Presented, candidates: Parameters<typeof attest>[1]['candidates']) => attest(token, { candidates, purpose: 'workloads' });
  const verify = (token: string, expected: Parameters<typeof verifyToken>[1], view: DomainView) => verifyToken(token, expected, { issuer: view.domain.issuer, ring: view.ring, now: clock.now() });

  const denials = countFaults(createDenials({ clock, random, store, log }), metrics, (id) => snapshot.domainById(id)?.domain.name ?? id);
  const limitByWorkload = createRateLimit(clock, deps.config.limits.per_workload);
  const join = createJoinStored({ clock, store });
  const admit = (workloadId: string) => {
    const wait = limitByWorkload(workloadId);
    return wait === undefined ? undefined : refusal('rate_limited', 'by workload', wait);
  };
  const exchange = traceExchange(createExchange({
    clock, random, snapshot, denials, join,
    store: {
      async issue(issuance) {
        const outcome = await store.issue(issuance);
        // Here at once; the next poll tells this node too, should it fail.
        if (issuance.admits !== undefined) await snapshot.refresh().catch(() => undefined);
        return outcome;
      },
    },
    authenticate: createAuthenticate({
      clock, attest: attestWorkload, join, store, endsLogin: (person, authTime) => snapshot.endsLogin(person, authTime),
      attestPerson: (token, view) => attestPerson(token, (iss) => view.issuersFor(iss, 'people'), view.domain),
      attestCrossing: (token, view) => attestCrossing(token, (iss) => view.issuersFor(iss, 'domains'), view.domain), domainByIssuer,
      verifySessionToken: (token, view) => verify(token, { kind: 'session' }, view),
      catchUp: () => snapshot.refresh(),
    }),
    admit, resume: createResume({ clock, store }), agree: createAgree({ clock, snapshot, store }), defer: createDefer({ clock, random, store, join, notifies: ({ domain }) => Object.hasOwn(deps.config.approvals.webhooks, domain.name), domain: (name) => snapshot.domain(name) }),
    mint: createMint({
      providers, sessionTokenLifetime: SESSION_TOKEN_SECONDS,
      signSessionToken: async (ticket, ceiling) => {
        const ring = ringOf(ticket.domain.id);
        return ring === undefined ? noDomain : signSessionToken(ticket, ceiling, ring, await statusEntries.take(ticket.domain));
      },
    }),
    sealHandle: (lease, handle) => encryption.seal(Buffer.from(handle), handleContext(lease)),
  }), createInSpan());

  const receive = createReceive({
    clock, store, change, denials, metrics,
    verify: createVerifySet({ clock, keys: ({ id, version, domainId, allowAddresses, signals: { transmitter, jwks, jwksUri } }) =>
      issuerKeys({ id: `signals:${id}`, version, domainId, allowAddresses, issuer: transmitter, jwks, jwksUri, metadata: 'ssf-configuration' }) }),
    fall: async (searches, now) => {
      const falling = await findFalling(store, searches, now);
      return { leases: falling.standings.length, ...honouredEntries(falling, honouredNote) };
    },
  });
  const secretOf = createSecrets(deps.config.signals.secrets);

  const [nonceKey, ...oldNonceKeys] = encryption.deriveEach('dpop-nonce');
  const nonceSecrets = { secret: nonceKey.export(), old: oldNonceKeys.map((key) => key.export()) };
  const nonceCache = new Map<string, DomainNonces>();
  const nonces = (view: DomainView): DomainNonces => {
    const { issuer } = view.domain;
    const known = nonceCache.get(issuer);
    if (known !== undefined) return known;
    const made: DomainNonces = { as: createNonces({ ...nonceSecrets, issuer, role: 'as', clock }), rs: createNonces({ ...nonceSecrets, issuer, role: 'rs', clock }) };
    nonceCache.set(issuer, made);
    return made;
  };

  const checkPossession = createPossessionCheck({ clock, store });
  const judge = createJudge({ clock, snapshot });
  const authorize = createAuthorize({ snapshot, judge, denials });
  const lintDeps = { ...catalogues, describePolicy: (cedar: string) => {
    const statement = parseStatement(cedar);
    return statement === undefined ? undefined : policyShape(statement);
  } };
  const admin = {
    authorize,
    approvals: createApprovalAdmin({ clock, store, snapshot, judge, authorize, denials }),
    registry: createRegistryAdmin({
      clock, change, store, snapshot, authorize, judge, encryption, planMissing, honouredNote, lint: createLint(lintDeps), render: (plan) => renderPlan(plan, { colour: false }),
      planner: createPlanner({ ...catalogues, clock, random, externalUrl, reservedAudiences: new Set([AWS_DEFAULT_AUDIENCE]), validatePolicy }),
    }),
    records: createRecordAdmin({ clock, store, snapshot, authorize }),
    revocations: createRevocationAdmin({ clock, change, store, snapshot, authorize, honouredNote }),
    revocationRecords: createRevocationRecords({ store, snapshot, authorize }),
    tasks: createTaskAdmin({ clock, random, store, snapshot, authorize }),
    explain: createExplain({ clock, store, snapshot, authorize, denials: { recent: async (id) => denials.recent(id) ?? await deps.denialElsewhere?.(id) } }),
    simulate: createSimulate({ clock, snapshot, authorize, attest: attestWorkload }),
    lint: createLintAdmin({ clock, snapshot, authorize, lint: lintDeps }),
    keys: createKeyAdmin({ clock, change, store, snapshot, authorize, encryption, wantedKeys, honouredNote, rewrapStreams: createRewrapStreams({ encryption, store }) }),
    audit: createAuditAdmin({ clock, store, authorize, openKey, codes: createAuditCodes(auditCodeKeys(encryption)) }),
  };

  const introspect = createIntrospect({ clock, store, verify: (token, view, audience) => verify(token, audience === undefined ? { kind: 'any' } : { kind: 'audience', audience }, view) });
  const signals = createSignals({ clock, random, log, metrics, store, snapshot, encryption, fetch, allowAddresses: deps.config.signals.allow_addresses, tokenKinds: new Set([ACCESS_TOKEN, SESSION_TOKEN, HANDOVER_TOKEN]), handingOn: new Set([HANDOVER_TOKEN, CROSSING_TOKEN]) });
  const adminDoor = { clock, snapshot, denials, checkPossession, externalUrl: adminUrlOf(deps.config), nonces: createNonces({ ...nonceSecrets, issuer: externalUrl, role: 'admin', clock }) };
  const findAdmin = createFindAdmin({ ...adminDoor, store, attest: (token, candidates) => attest(token, { candidates, purpose: 'admins' }) });
  const attestApprover = createAttestPerson({ clock, verify: verifyEvidence, applications: approverApplications });

  return {
    snapshot, change, firstKeys, wantedKeys, catalogues, denials, admin, findAdmin, signals,
    pollSignals: createPoll({ fetch, receive, secretOf }),
    findApprover: createFindApprover({ ...adminDoor, findAdmin, attest: (token, candidates, view) => attestApprover(token, candidates, view.domain) }),
    publicDeps: {
      clock, snapshot, exchange, denials, nonces, metrics, receive, secretOf,
      redeem: createRedeem({ clock, store, denials, admit, exchange }),
      spend: createSpend({ clock, store, verify: (token, view) => verify(token, { kind: 'session' }, view) }),
      introspect, signals, checkPossession,
      statusLists: createStatusLists({
        clock, snapshot, store, metrics,
        sign(claims, view) {
          const signed = signAs('status', claims, view.ring);
          return signed.ok ? { ok: true, value: signed.value.token } : signed;
        },
      }),
      revokeToken: createRevokeToken({ clock, store, change, honouredNote, readToken: (token, view) => verify(token, { kind: 'any' }, view) }),
    },
    /** Has entries of status lists at hand before anybody asks for a token. */
    keepStatusBlocks: () => statusEntries.keepAhead(snapshot.domains()),
    outbound: fetch,
    /** Requests that wait for something to happen are answered now. */
    endWaiting: () => Promise.resolve(signals.poll.end()),
    close: () => fetch.close(),
  };
};
export type MayflyNode = ReturnType<typeof createNode>;

/** Lease kind of what the access-token provider issues. */
const ACCESS_TOKEN = 'access_token';
/** The row a sealed handle belongs to. */
export const handleContext = (lease: string): string => `lease-handle/${lease}`;

const HONOURED: ReadonlyMap<string, string> = new Map([['aws-credentials', 'recorded; AWS honours these keys until then']]);
const honouredNote = (leaseKind: string): string | undefined => HONOURED.get(leaseKind);

const createLint = (lintDeps: LintDeps) => (subjects: readonly Entry[], context: readonly Entry[], now: number) => lint(lintDeps, context, now, subjects);
