import * as oauth from 'oauth4webapi';

export interface IdentityProvider { readonly issuer: string; readonly secret: string; readonly redirect: string }

/**
 * A person logs in at the identity provider for one application, as a browser would take them through it (authorization code with
 * PKCE, RFC 7636), and the application gets its ID token.
 */
export const logIn = async ({ issuer, secret, redirect }: IdentityProvider, application: string, name: string): Promise<string> => {
  const insecure = { [oauth.allowInsecureRequests]: true };
  const server = await oauth.processDiscoveryResponse(new URL(issuer), await oauth.discoveryRequest(new URL(issuer), insecure));
  const client = { client_id: application };
  const [verifier, nonce, state] = [oauth.generateRandomCodeVerifier(), oauth.generateRandomNonce(), oauth.generateRandomState()];
  const start = new URL(server.authorization_endpoint ?? '');
  start.search = new URLSearchParams({
    client_id: application, redirect_uri: redirect, response_type: 'code', scope: 'openid', code_challenge: await oauth.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256', nonce, state,
  }).toString();
  const back = await browse(start, redirect, name);
  const parameters = oauth.validateAuthResponse(server, client, back, state);
  const answer = await oauth.authorizationCodeGrantRequest(server, client, oauth.ClientSecretBasic(secret), parameters, redirect, verifier, insecure);
  const { id_token: token } = await oauth.processAuthorizationCodeResponse(server, client, answer, { expectedNonce: nonce, requireIdToken: true });
  if (token === undefined) throw new Error('the identity provider gave no ID token');
  return token;
};

const MOST_PAGES = 12;

/** Follows redirects, keeps cookies, and fills in the forms of the provider's own pages: first who logs in, then that they agree. */
const browse = async (start: URL, redirect: string, name: string): Promise<URL> => {
  const cookies = new Map<string, string>();
  let url = start;
  let form: URLSearchParams | undefined;
  for (let page = 0; page < MOST_PAGES; page += 1) {
    const response = await fetch(url, { redirect: 'manual', headers: { cookie: [...cookies].map(([key, value]) => `${key}=${value}`).join('; ') }, ...(form === undefined ? {} : { method: 'POST', body: form }) });
    for (const cookie of response.headers.getSetCookie()) keep(cookies, cookie);
    form = undefined;
    const location = response.headers.get('location');
    if (location !== null) {
      url = new URL(location, url);
      if (url.href.startsWith(redirect)) return url;
      continue;
    }
    const text = await response.text();
    const action = /<form[^>]*action="([^"]+)"/.exec(text)?.[1];
    const prompt = /name="prompt" value="(\w+)"/.exec(text)?.[1];
    if (!response.ok || action === undefined || prompt === undefined) throw new Error(`the identity provider answered ${response.status}: ${text.slice(0, 300)}`);
    url = new URL(action, url);
    form = new URLSearchParams(prompt === 'login' ? { prompt, login: name, password: 'of no interest to this provider' } : { prompt });
  }
  throw new Error(`the login took more than ${MOST_PAGES} pages`);
};

const keep = (cookies: Map<string, string>, header: string): void => {
  const [pair = ''] = header.split(';');
  const at = pair.indexOf('=');
  cookies.set(pair.slice(0, at), pair.slice(at + 1));
};
