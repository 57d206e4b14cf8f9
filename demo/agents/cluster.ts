import { jobsConfiguration, startProvider } from '../platform.ts';

/**
 * The platform that agents, tools and services run on, as a process of its own: each asks it for a token that says which service
 * account it is. One line of JSON says where it is; then it serves until it is told to end.
 */
const NAMES = ['planner', 'researcher', 'writer', 'search', 'docs', 'siem'] as const;
const SECRET = 'what-the-cluster-mounted-into-this-pod';

const cluster = await startProvider(jobsConfiguration({
  names: NAMES, secret: SECRET, lifetime: 300,
  claimsOf: (name) => ({ sub: `system:serviceaccount:demo:${name}`, 'kubernetes.io': { namespace: 'demo', serviceaccount: { name, uid: `uid-of-${name}` } } }),
}));
console.log(JSON.stringify({ issuer: cluster.issuer, token_endpoint: `${cluster.issuer}/token`, secret: SECRET }));
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void cluster.close());
