// The upstream OpenID provider of the tests: npm oidc-provider, with login and consent pages of its own.
//
// In a test:   const op = await startProvider(); op.allow(redirectUri); … op.close()
// By hand:     PORT=4001 REDIRECT=http://127.0.0.1:8080/connections/conn_…/oidc/callback node provider.mjs
//              ISSUER overrides the issuer, REDIRECT takes several URIs with commas between them.
//
// Anybody can sign in: the login is an e-mail address, the password is `x` (any other is refused).
// What the address says: `unverified…` has email_verified false; `nomail…` has no e-mail address at all.
import http from 'node:http';
import { randomBytes } from 'node:crypto';
import { pathToFileURL } from 'node:url';
import { Provider } from 'oidc-provider';
import { exportJWK, generateKeyPair } from 'jose';
import { listen, page, readForm } from './web.mjs';

/** The secret of every confidential client; `awkward` has one that must be form-encoded in HTTP Basic (RFC 6749 §2.3.1). */
export const SECRET = 'a-long-enough-client-secret-0123456789';
export const AWKWARD_SECRET = 'p%3A:~ +&=/?"\'100%-and-long-enough-0123';
export const PASSWORD = 'x';

/** What a client of the provider is made of, by its id. */
const CLIENTS = {
  basic: {},
  post: { token_endpoint_auth_method: 'client_secret_post' },
  public: { token_endpoint_auth_method: 'none', client_secret: undefined },
  awkward: { client_secret: AWKWARD_SECRET },
  es256: { id_token_signed_response_alg: 'ES256' },
  eddsa: { id_token_signed_response_alg: 'EdDSA' },
  ed25519: { id_token_signed_response_alg: 'Ed25519' },
};

export const secretOf = (clientId) => (clientId === 'public' ? undefined : clientId === 'awkward' ? AWKWARD_SECRET : SECRET);

async function signingKeys() {
  const keys = [];
  for (const alg of ['RS256', 'ES256', 'EdDSA']) {
    const { privateKey } = await generateKeyPair(alg, { extractable: true });
    // no `alg` on the key: it serves its whole family, as the keys of many real providers do
    keys.push({ ...(await exportJWK(privateKey)), kid: `lab-${alg.toLowerCase()}`, use: 'sig' });
  }
  return keys;
}

export const subjectOf = (login) => `sub|${login}`;

/** The claims of a person. Tests may lay others over them with `op.people.set(login, {…})`. */
function claimsOf(sub, people) {
  const login = sub.slice('sub|'.length);
  const name = login.split('@')[0].replace(/^./, (c) => c.toUpperCase());
  return {
    sub,
    ...(login.startsWith('nomail') ? {} : { email: login, email_verified: !login.startsWith('unverified') }),
    name: `${name} Lovelace`,
    given_name: name,
    family_name: 'Lovelace',
    groups: ['engineers', 'staff'],
    ...people.get(login),
  };
}

export async function startProvider({ port = 0, issuer, redirectUris = [], accessTokenTtl = 600 } = {}) {
  const server = http.createServer();
  const actualPort = await listen(server, port);
  issuer ??= `http://127.0.0.1:${actualPort}`;
  const allowed = new Set(redirectUris);
  const people = new Map();
  /** Every request that reached the provider, as `METHOD /path`: a test counts round trips with it. */
  const seen = [];
  /** The parameters of every authorization request. */
  const authorizations = [];

  const provider = new Provider(issuer, {
    jwks: { keys: await signingKeys() },
    clients: Object.entries(CLIENTS).map(([client_id, extra]) => ({
      client_id,
      client_secret: SECRET,
      redirect_uris: ['http://127.0.0.1/replaced-by-redirectUriAllowed'],
      response_types: ['code'],
      grant_types: ['authorization_code', 'refresh_token'],
      ...extra,
    })),
    // several providers may run on 127.0.0.1, and cookies know no ports
    cookies: {
      keys: [randomBytes(16).toString('hex')],
      names: { session: `op${actualPort}_session`, interaction: `op${actualPort}_interaction`, resume: `op${actualPort}_resume` },
    },
    claims: {
      openid: ['sub'],
      email: ['email', 'email_verified'],
      profile: ['name', 'given_name', 'family_name'],
      groups: ['groups'],
    },
    scopes: ['openid', 'offline_access', 'email', 'profile', 'groups'],
    conformIdTokenClaims: false, // the claims stand in the ID token too, as they do at Okta, Entra and Google
    enabledJWA: { idTokenSigningAlgValues: ['RS256', 'ES256', 'EdDSA', 'Ed25519'] },
    pkce: { required: () => true },
    features: { devInteractions: { enabled: false } },
    interactions: { url: (_ctx, interaction) => `/interaction/${interaction.uid}` },
    ttl: { AccessToken: accessTokenTtl, IdToken: accessTokenTtl, Interaction: 600, Session: 3600, Grant: 3600 },
    // the subject is not the e-mail address, so that a test sees which of the two authd goes by
    findAccount: (_ctx, sub) => ({ accountId: sub, claims: () => claimsOf(sub, people) }),
    renderError: (ctx, out) => {
      ctx.type = 'html';
      ctx.body = page('The provider refused', `<p>code: <code>${escape(out.error)}</code></p><p>${escape(out.error_description ?? '')}</p>`);
    },
  });
  // the id of a connection, and with it its callback, is known only after the provider runs
  provider.Client.prototype.redirectUriAllowed = (uri) => allowed.has(uri);
  provider.on('server_error', (_ctx, error) => console.error('provider: server_error', error));
  const callback = provider.callback();

  server.on('request', (req, res) => {
    const url = new URL(req.url, issuer);
    seen.push(`${req.method} ${url.pathname}`);
    if (url.pathname === '/favicon.ico') return res.writeHead(204).end();
    if (url.pathname === '/auth') authorizations.push(Object.fromEntries(url.searchParams));
    if (!url.pathname.startsWith('/interaction/')) return callback(req, res);
    interact(provider, req, res, url).catch((error) => {
      res.writeHead(400, { 'content-type': 'text/html; charset=utf-8' }).end(page('The provider refused', `<p>${escape(String(error))}</p>`));
    });
  });

  return {
    issuer,
    port: actualPort,
    people,
    seen,
    authorizations,
    allow: (...uris) => uris.forEach((uri) => allowed.add(uri)),
    /** How often a browser was sent here to sign in. */
    visits: () => authorizations.length,
    close: () => new Promise((done) => {
      server.close(done);
      server.closeAllConnections();
    }),
  };
}

async function interact(provider, req, res, url) {
  const details = await provider.interactionDetails(req, res);
  const { prompt, params, session } = details;
  const finish = (result, merge = false) => provider.interactionFinished(req, res, result, { mergeWithLastSubmission: merge });
  const deny = () => finish({ error: 'access_denied', error_description: 'The person said no.' });

  if (prompt.name === 'login') {
    if (req.method === 'POST') {
      const form = await readForm(req);
      if (form.get('answer') === 'deny') return deny();
      if (form.get('password') === PASSWORD && form.get('login')) {
        return finish({ login: { accountId: subjectOf(form.get('login')), remember: true, amr: ['pwd'] } });
      }
    }
    return send(res, page('Sign in to the provider', `
      <form method="post" action="${url.pathname}" autocomplete="off">
        <label for="login">E-mail</label>
        <input id="login" name="login" type="text" value="${escape(params.login_hint ?? '')}">
        <label for="password">Password</label>
        <input id="password" name="password" type="password">
        <button type="submit" name="answer" value="ok">Sign in</button>
        <button type="submit" name="answer" value="deny">Deny</button>
      </form>`));
  }

  if (req.method !== 'POST') {
    return send(res, page('Consent', `
      <p>${escape(params.client_id)} asks for: ${escape(params.scope)}</p>
      <form method="post" action="${url.pathname}">
        <button type="submit" name="answer" value="ok">Continue</button>
        <button type="submit" name="answer" value="deny">Deny</button>
      </form>`));
  }
  if ((await readForm(req)).get('answer') === 'deny') return deny();
  const grant = details.grantId
    ? await provider.Grant.find(details.grantId)
    : new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
  grant.addOIDCScope((prompt.details.missingOIDCScope ?? []).join(' '));
  grant.addOIDCClaims(prompt.details.missingOIDCClaims ?? []);
  return finish({ consent: { grantId: await grant.save() } }, true);
}

const escape = (text) => String(text).replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);
const send = (res, html) => res.writeHead(200, { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store' }).end(html);

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const { PORT = 4001, ISSUER, REDIRECT = '' } = process.env;
  const op = await startProvider({ port: Number(PORT), issuer: ISSUER, redirectUris: REDIRECT.split(',').filter(Boolean) });
  console.log(`provider at ${op.issuer}; clients ${Object.keys(CLIENTS).join(', ')}; secret ${SECRET}; password ${PASSWORD}`);
}
