// The app of the tests: a web application on npm openid-client v6 (certified), which checks the ID token once more
// with npm jose over the remote JWKS, as a resource server or a Convex deployment would.
//
//   /                 a page with a link to /login
//   /login?…          sends the browser to authd; every query parameter is passed on (organization, login_hint, prompt …)
//   /cb               redeems the code, verifies, shows the result as JSON in <pre id="result">
//   /logout           sends the browser to authd to sign out, with the newest ID token as the hint; comes back to /bye
//   /told             takes logout tokens (back-channel), verifies them with jose, keeps their claims in `app.told`
//
// In a test:   const app = await startApp(); /* register app.redirectUri */ await app.configure({ issuer, clientId, clientSecret })
// By hand:     PORT=4100 ISSUER=http://127.0.0.1:8080 CLIENT_ID=… CLIENT_SECRET=… [AUTH=basic|post|none] node app.mjs
import http from 'node:http';
import { pathToFileURL } from 'node:url';
import { createRemoteJWKSet, decodeProtectedHeader, jwtVerify } from 'jose';
import * as oidc from 'openid-client';
import { listen, page, readForm } from './web.mjs';

const AUTH = { basic: oidc.ClientSecretBasic, post: oidc.ClientSecretPost, none: () => oidc.None() };

export async function startApp({ port = 0 } = {}) {
  const server = http.createServer();
  const actualPort = await listen(server, port);
  const origin = `http://127.0.0.1:${actualPort}`;
  const cookieName = `app${actualPort}`;
  const pending = new Map();
  const app = {
    origin,
    port: actualPort,
    byeUri: `${origin}/bye`,
    toldUri: `${origin}/told`,
    /** The claims of each logout token that came, and what did not verify, newest last. */
    told: [],
    redirectUri: `${origin}/cb`,
    loginUrl: (parameters = {}) => `${origin}/login?${new URLSearchParams(parameters)}`,
    /** What each finished sign-in gave, newest last. */
    results: [],
    config: undefined,
    clientId: undefined,
    scope: 'openid email profile',
    close: () => new Promise((done) => {
      server.close(done);
      server.closeAllConnections();
    }),
  };

  app.configure = async ({ issuer, clientId, clientSecret, auth = clientSecret ? 'basic' : 'none', idTokenAlg }) => {
    const metadata = { client_secret: clientSecret, ...(idTokenAlg ? { id_token_signed_response_alg: idTokenAlg } : {}) };
    app.clientId = clientId;
    app.config = await oidc.discovery(new URL(issuer), clientId, metadata, AUTH[auth](clientSecret), {
      execute: [oidc.allowInsecureRequests, oidc.enableNonRepudiationChecks],
    });
    return app;
  };

  async function login(req, res, url) {
    const verifier = oidc.randomPKCECodeVerifier();
    const kept = { verifier, nonce: oidc.randomNonce(), state: oidc.randomState() };
    pending.set(kept.state, kept);
    const target = oidc.buildAuthorizationUrl(app.config, {
      redirect_uri: app.redirectUri,
      scope: app.scope,
      state: kept.state,
      nonce: kept.nonce,
      code_challenge: await oidc.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
      ...Object.fromEntries(url.searchParams),
    });
    res.writeHead(302, { location: target.href, 'set-cookie': `${cookieName}=${kept.state}; HttpOnly; Path=/; SameSite=Lax` }).end();
  }

  async function finish(req, url) {
    const state = new RegExp(`(?:^|; )${cookieName}=([^;]+)`).exec(req.headers.cookie ?? '')?.[1];
    const kept = pending.get(state);
    if (!kept) return { ok: false, error: 'no sign-in was begun in this browser' };
    pending.delete(state);
    const tokens = await oidc.authorizationCodeGrant(app.config, url, {
      pkceCodeVerifier: kept.verifier,
      expectedNonce: kept.nonce,
      expectedState: kept.state,
      idTokenExpected: true,
    });
    const metadata = app.config.serverMetadata();
    const { payload, protectedHeader } = await jwtVerify(tokens.id_token, createRemoteJWKSet(new URL(metadata.jwks_uri)), {
      issuer: metadata.issuer,
      audience: app.clientId,
      requiredClaims: ['iss', 'sub', 'aud', 'exp', 'iat', 'nonce'],
    });
    const userinfo = await oidc.fetchUserInfo(app.config, tokens.access_token, payload.sub);
    return {
      ok: true,
      claims: payload,
      header: protectedHeader,
      userinfo,
      tokens: { ...tokens },
      code: url.searchParams.get('code'),
      verifier: kept.verifier,
      accessTokenHeader: headerOf(tokens.access_token),
    };
  }

  /** OpenID Connect Back-Channel Logout 1.0, §2.6. */
  async function told(req) {
    const token = (await readForm(req)).get('logout_token') ?? '';
    const metadata = app.config.serverMetadata();
    const { payload } = await jwtVerify(token, createRemoteJWKSet(new URL(metadata.jwks_uri)), {
      issuer: metadata.issuer, audience: app.clientId, typ: 'logout+jwt', requiredClaims: ['iss', 'aud', 'iat', 'exp', 'jti', 'events', 'sid'],
    });
    if (!payload.events['http://schemas.openid.net/event/backchannel-logout'] || 'nonce' in payload) throw new Error('not a logout token');
    return payload;
  }

  server.on('request', async (req, res) => {
    const url = new URL(req.url, origin);
    try {
      if (url.pathname === '/login') return await login(req, res, url);
      if (url.pathname === '/cb') {
        const result = await finish(req, url).catch((error) => ({
          ok: false,
          error: error.error ?? error.code ?? error.name,
          description: error.error_description ?? error.cause?.message ?? error.message,
        }));
        app.results.push(result);
        const shown = JSON.stringify(result, null, 2).replace(/&/g, '&amp;').replace(/</g, '&lt;');
        res.writeHead(result.ok ? 200 : 400, { 'content-type': 'text/html; charset=utf-8' });
        return res.end(page(result.ok ? 'Signed in' : 'Not signed in', `<pre id="result">${shown}</pre>`));
      }
      if (url.pathname === '/logout') {
        const target = oidc.buildEndSessionUrl(app.config, {
          id_token_hint: app.results.at(-1).tokens.id_token, post_logout_redirect_uri: app.byeUri, state: 'leaving',
        });
        return res.writeHead(302, { location: target.href }).end();
      }
      if (url.pathname === '/told') {
        const claims = await told(req).catch((error) => ({ refused: String(error) }));
        app.told.push(claims);
        return res.writeHead(claims.refused ? 400 : 200).end();
      }
      if (url.pathname === '/bye') {
        res.writeHead(200, { 'content-type': 'text/html; charset=utf-8' });
        return res.end(page('Signed out', '<p id="bye">Until next time.</p>'));
      }
      if (url.pathname === '/') {
        res.writeHead(200, { 'content-type': 'text/html; charset=utf-8' });
        return res.end(page('An app', '<p><a id="login" href="/login">Sign in</a></p>'));
      }
      res.writeHead(url.pathname === '/favicon.ico' ? 204 : 404).end();
    } catch (error) {
      res.writeHead(500, { 'content-type': 'text/plain' }).end(String(error?.stack ?? error));
    }
  });
  return app;
}

function headerOf(token) {
  try {
    return decodeProtectedHeader(token);
  } catch {
    return undefined; // an opaque access token
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const { PORT = 4100, ISSUER, CLIENT_ID, CLIENT_SECRET, AUTH: auth } = process.env;
  const app = await startApp({ port: Number(PORT) });
  await app.configure({ issuer: ISSUER, clientId: CLIENT_ID, clientSecret: CLIENT_SECRET, auth });
  console.log(`app at ${app.origin}, redirect URI ${app.redirectUri}`);
}
