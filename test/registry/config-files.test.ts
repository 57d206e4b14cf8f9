import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { ATTESTORS } from '../../src/attestation/catalogue.ts';
import { refusal } from '../../src/core/refusal.ts';
import { err } from '../../src/core/result.ts';
import { createProviders } from '../../src/credentials/catalogue.ts';
import { AWS_DEFAULT_AUDIENCE } from '../../src/credentials/reserved-audiences.ts';
import { createGuardedFetch } from '../../src/outbound/fetch.ts';
import { createPolicySchema } from '../../src/policy/schema.ts';
import { createPolicyValidator } from '../../src/policy/validate.ts';
import type { Plan } from '../../src/registry/plan.ts';
import type { PlannerDeps } from '../../src/registry/scene.ts';
import { policyShape } from '../../src/registry/lint-policies.ts';
import { lint } from '../../src/registry/lint.ts';
import { parseManifestYaml } from '../../src/registry/manifest.ts';
import { createPlanner } from '../../src/registry/resolve.ts';
import { attestors, deps, entriesOf, KEEP, NOW, PRUNE, rowsAfter, systemRow, valueOf, viewOf } from './world.ts';

/** The rooms as they are wired for real; only signing, which planning never asks for, is left out. */
const noSigner = () => err(refusal('provider_misconfigured', 'not asked for'));
const fetch = createGuardedFetch();
const providers = createProviders({ clock: deps.clock, fetch, signAccessToken: noSigner, takeStatusEntry: () => Promise.reject(new Error('not asked for')), signAwsToken: noSigner });
const tables = new Map(ATTESTORS.flatMap((attestor) => (attestor.kind === 'oidc' ? [] : [[attestor.kind, attestor.attributeTable()] as const])));
const check = createPolicyValidator(createPolicySchema(tables));
const real: PlannerDeps = { ...deps, providers, validatePolicy: check, reservedAudiences: new Set([AWS_DEFAULT_AUDIENCE]) };
const lintDeps = {
  attestors, providers,
  describePolicy: (cedar: string) => {
    const { valid } = check('policy', cedar);
    return valid === undefined ? undefined : policyShape(valid.statement);
  },
};

const read = (name: string): string => readFileSync(new URL(`../../config/${name}`, import.meta.url), 'utf8');
const filled = (text: string): string => text.replaceAll(/\$\{([A-Z_]+)\}/g, (_, name: string) => DEMO[name] ?? '');
const DEMO: Readonly<Record<string, string>> = { DEMO_URL: 'http://127.0.0.1:8080', DEMO_ISSUER: 'http://127.0.0.1:8081', DEMO_STS: 'http://127.0.0.1:8082', DEMO_PEOPLE: 'http://127.0.0.1:8083', DEMO_TRANSMITTER: 'http://127.0.0.1:8084', DEMO_CLUSTER: 'http://127.0.0.1:8085', DEMO_EXPIRES: '2027-03-01' };

describe.each([
  { name: 'demo.yaml', externalUrl: 'http://127.0.0.1:8080', warns: ['custom-endpoint', 'issuer-plain-http'] },
  { name: 'demo-agents.yaml', externalUrl: 'http://127.0.0.1:8080', warns: Array.from({ length: 4 }, () => 'issuer-plain-http') },
  { name: 'examples/single-node.yaml', externalUrl: 'https://sts.acme.example', warns: [] },
  { name: 'examples/platform-team.yaml', externalUrl: 'https://sts.acme.example', warns: ['wildcard'] },
])('config/$name', ({ name, externalUrl, warns }) => {
  const planner = createPlanner({ ...real, externalUrl });
  const document = valueOf(parseManifestYaml(filled(read(name))));
  let plan: Plan;
  beforeAll(async () => { plan = valueOf(await planner.plan(document, viewOf([systemRow()]), KEEP)); });

  test('can be applied', () => {
    expect(plan.changes.every(({ action }) => action === 'create')).toBe(true);
    expect(plan.entries.length).toBe(plan.changes.length);
  });

  test('changes nothing the second time', async () => {
    expect(valueOf(await planner.plan(document, viewOf(rowsAfter(plan, [systemRow()])), PRUNE)).entries).toEqual([]);
  });

  test('has no finding that stops it, and only the warnings it is meant to have', async () => {
    const findings = await lint(lintDeps, entriesOf(plan), NOW);
    expect(findings.filter(({ severity }) => severity === 'error')).toEqual([]);
    expect(findings.filter(({ severity }) => severity === 'warning').map(({ rule }) => rule).sort()).toEqual(warns);
  });
});

test.each(['demo.yaml', 'demo-agents.yaml'])('the places the demo fills in in %s are those its first lines name', (file) => {
  const text = read(file);
  const used = new Set([...text.matchAll(/\$\{([A-Z_]+)\}/g)].map(([, name]) => name));
  const named = new Set([...text.matchAll(/^# {3}\$\{([A-Z_]+)\} {2}/gm)].map(([, name]) => name));
  expect([...used].sort()).toEqual([...named].sort());
  expect(Object.keys(DEMO)).toEqual(expect.arrayContaining([...named]));
});
