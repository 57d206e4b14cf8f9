import { readFileSync } from 'node:fs';
import { readSecretVariable } from '../config/load.ts';
import type { ServerConfig } from '../config/server-config.ts';
import { checkCidr } from '../outbound/address.ts';
import { parseOutboundUrl } from '../outbound/url.ts';
import { parseWebhookSecret } from '../outbound/webhook.ts';
import type { WebhookTarget } from '../outbound/webhook.ts';
import { StartRefused } from './refused.ts';

/** The webhooks of the configuration with their secrets, which come from files or variables and are kept nowhere. */
export const loadWebhooks = ({ approvals }: Pick<ServerConfig, 'approvals'>): ReadonlyMap<string, WebhookTarget> =>
  new Map(Object.entries(approvals.webhooks).map(([domain, { url, secret_file: file, secret_env: variable, allow_addresses: allowAddresses }]) => {
    const path = `approvals.webhooks.${domain}`;
    const refuse = (field: string, message: string, mend: string): never => { throw new StartRefused([{ path: `${path}.${field}`, message, mend }]); };
    if (!parseOutboundUrl(url, true).ok) refuse('url', 'is not a plain https URL', 'write it like https://hooks.acme.example/mayfly (http only for loopback, in development domains)');
    for (const range of allowAddresses) {
      const problem = checkCidr(range);
      if (problem !== undefined) refuse('allow_addresses', problem.message, problem.mend);
    }
    if ((file === undefined) === (variable === undefined)) refuse('secret_file', 'or secret_env has to name the secret, one of them', 'put it into a file that only the server can read, and name that');
    const text = file === undefined ? readSecretVariable(variable ?? '') : readSecret(file);
    const key = text === undefined ? undefined : parseWebhookSecret(text);
    if (key === undefined) return refuse(file === undefined ? 'secret_env' : 'secret_file', text === undefined ? 'cannot be read' : 'holds no webhook secret', 'make one with: echo "whsec_$(openssl rand -base64 32)"');
    return [domain, { url, key, allowAddresses }];
  }));

const readSecret = (file: string): string | undefined => {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
};
