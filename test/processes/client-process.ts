/** A client of its own: sends every request it is given at once, and hands back what came of each. */
import { Agent, request } from 'undici';
import { patiently } from '../support/patiently.ts';

export interface ClientRequest { readonly url: string; readonly form: Readonly<Record<string, string>>; readonly headers?: Readonly<Record<string, string>> }
export interface ClientAnswer { readonly status: number; readonly body: Record<string, unknown> }

const agent = new Agent({ connections: 16 });

const send = async ({ url, form, headers = {} }: ClientRequest): Promise<ClientAnswer> => {
  const response = await request(url, { method: 'POST', dispatcher: agent, headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers }, body: new URLSearchParams(form).toString() });
  return { status: response.statusCode, body: (await response.body.json()) as Record<string, unknown> };
};

process.on('message', (requests: readonly ClientRequest[]) => {
  void Promise.all(requests.map((one) => patiently(() => send(one)))).then((answers) => process.send?.(answers), (fault: unknown) => process.send?.({ fault: String(fault) }));
});
process.send?.('ready');
