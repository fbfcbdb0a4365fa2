// A single-page app: one page that does everything by `fetch`, on an origin of its own. No library: what a browser lets it do
// is what is tested.
//
//   const spa = await startSpa(); /* register spa.redirectUri with --kind spa */ spa.configure({ issuer, clientId })
import http from 'node:http';
import { listen } from './web.mjs';

const script = (config) => `
const config = ${JSON.stringify(config)};
const text = (bytes) => btoa(String.fromCharCode(...bytes)).replace(/\\+/g, '-').replace(/\\//g, '_').replace(/=/g, '');
const random = () => text(crypto.getRandomValues(new Uint8Array(32)));
const show = (result) => { document.querySelector('#result').textContent = JSON.stringify(result); };
const post = (url, fields) => fetch(url, { method: 'POST', body: new URLSearchParams(fields) }).then((r) => r.json());

window.begin = async () => {
  const metadata = await (await fetch(config.issuer + '/.well-known/openid-configuration')).json();
  const kept = { verifier: random(), state: random(), nonce: random(), metadata };
  sessionStorage.setItem('kept', JSON.stringify(kept));
  const challenge = text(new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(kept.verifier))));
  location.href = metadata.authorization_endpoint + '?' + new URLSearchParams({
    response_type: 'code', client_id: config.clientId, redirect_uri: config.redirectUri, scope: 'openid email profile offline_access',
    state: kept.state, nonce: kept.nonce, code_challenge: challenge, code_challenge_method: 'S256',
  });
};

async function finish() {
  const kept = JSON.parse(sessionStorage.getItem('kept'));
  const answer = new URLSearchParams(location.search);
  if (answer.get('state') !== kept.state || answer.get('iss') !== kept.metadata.issuer) throw new Error('not ours');
  const tokens = await post(kept.metadata.token_endpoint, { grant_type: 'authorization_code', client_id: config.clientId,
    redirect_uri: config.redirectUri, code: answer.get('code'), code_verifier: kept.verifier });
  const fresh = await post(kept.metadata.token_endpoint, { grant_type: 'refresh_token', client_id: config.clientId, refresh_token: tokens.refresh_token });
  const bearer = { headers: { authorization: 'Bearer ' + fresh.access_token } };
  const userinfo = await (await fetch(kept.metadata.userinfo_endpoint, bearer)).json();
  const keys = await (await fetch(kept.metadata.jwks_uri)).json();
  const who = await (await fetch(config.issuer + '/v1/identity', bearer)).json();
  show({ ok: true, tokens, fresh, userinfo, keys, who });
}

/** How a call of this page ends: its status, or that the browser did not let it through. */
window.attempt = (url, options) => fetch(url, options).then((r) => r.status, () => 'blocked');
window.revoke = async (token) => {
  const kept = JSON.parse(sessionStorage.getItem('kept'));
  return (await fetch(kept.metadata.revocation_endpoint, { method: 'POST', body: new URLSearchParams({ client_id: config.clientId, token }) })).status;
};
if (location.pathname === '/cb') finish().catch((error) => show({ ok: false, error: String(error) }));
`;

export async function startSpa() {
  const server = http.createServer();
  const port = await listen(server);
  const spa = {
    // another origin than authd's in name as well
    origin: `http://localhost:${port}`,
    redirectUri: `http://localhost:${port}/cb`,
    config: undefined,
    configure: (config) => { spa.config = { ...config, redirectUri: spa.redirectUri }; },
    close: () => new Promise((done) => {
      server.close(done);
      server.closeAllConnections();
    }),
  };
  server.on('request', (req, res) => {
    const { pathname } = new URL(req.url, spa.origin);
    if (pathname === '/app.js') return res.writeHead(200, { 'content-type': 'text/javascript' }).end(script(spa.config));
    if (pathname !== '/' && pathname !== '/cb') return res.writeHead(204).end();
    return res.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end(`<!doctype html><html lang="en"><title>A page</title>
<h1>A page</h1><button id="begin" onclick="begin()">Sign in</button><pre id="result"></pre><script src="/app.js"></script></html>`);
  });
  return spa;
}
