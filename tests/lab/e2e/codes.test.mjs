// authd toward apps, with requests that no honest library sends: OP-01 … OP-04, OP-06, JWT-01 … JWT-04.
import assert from 'node:assert/strict';
import { after, before } from 'node:test';
import { createRemoteJWKSet, jwtVerify } from 'jose';
import { Person, World, assertRefused, shows } from '../world.mjs';
import { Wire, basic, decode, random, s256 } from '../wire.mjs';

let world;
let cast;
let wire;
/** An app on a real-looking https address; nothing listens there, and nothing has to. */
let site;
before(async () => {
  world = await World.start();
  cast = await world.cast({ domain: 'a.test', name: 'Aperture' });
  wire = cast.app.wire;
  site = await register('https://app.example.test/oidc/cb');
});
after(() => world?.stop());

async function register(redirectUri, name = 'Site', org = cast.org) {
  const made = await world.json('app', 'create', '--org', org, '--name', name, '--redirect-uri', redirectUri);
  return new Wire({ issuer: world.url, clientId: made.clientId, clientSecret: made.clientSecret, redirectUri });
}

/** Signs in up to the code. */
async function code(changes = {}, { rp = wire, person = new Person('ada@a.test') } = {}) {
  const url = await rp.authorize(changes);
  const page = await person.signIn(url, { until: rp.redirectUri });
  assert.ok(page.location, String(page));
  const answer = page.location.searchParams;
  assert.equal(answer.get('state'), url.state);
  assert.equal(answer.get('iss'), world.url, 'RFC 9207');
  assert.ok(answer.get('code'), String(page.location));
  return { code: answer.get('code'), code_verifier: url.verifier };
}

function assertTokenError({ status, headers, json, text }, error, expected = 400) {
  assert.equal(status, expected, text);
  assert.equal(json?.error, error, text);
  assert.match(headers.get('content-type'), /^application\/json/);
  assert.match(headers.get('cache-control') ?? '', /no-store/);
}

shows('a code is redeemed once: the second time is invalid_grant, and the first tokens are revoked (OP-02)', async () => {
  const grant = await code();
  const first = await wire.token(grant);
  assert.equal(first.status, 200, first.text);
  assert.match(first.headers.get('cache-control') ?? '', /no-store/);
  assert.equal((await wire.userinfo(first.json.access_token)).status, 200);
  assertTokenError(await wire.token(grant), 'invalid_grant');
  const after = await wire.userinfo(first.json.access_token);
  assert.equal(after.status, 401);
  assert.match(after.headers.get('www-authenticate') ?? '', /^Bearer .*error="invalid_token"/);
});

shows('of 16 redemptions of one code at the same time, at most one succeeds (OP-02)', async () => {
  const grant = await code();
  const answers = await Promise.all(Array.from({ length: 16 }, () => wire.token(grant)));
  assert.ok(answers.filter((a) => a.status === 200).length <= 1, answers.map((a) => a.status).join());
  answers.filter((a) => a.status !== 200).forEach((a) => assertTokenError(a, 'invalid_grant'));
});

shows('a code is worth nothing to another app, nor with another redirect URI, and is burned by the attempt (OP-03)', async () => {
  const thief = await register(wire.redirectUri, 'Thief');
  const stolen = await code();
  assertTokenError(await thief.token(stolen), 'invalid_grant');
  assertTokenError(await wire.token(stolen), 'invalid_grant');
  const moved = await code();
  assertTokenError(await wire.token({ ...moved, redirect_uri: `${wire.redirectUri}/` }), 'invalid_grant');
  const without = await code();
  const answer = await wire.token({ ...without, redirect_uri: undefined });
  assert.equal(answer.status, 400);
  assert.match(answer.json.error, /^invalid_(grant|request)$/);
});

/** OP-01: 30 addresses that are not `https://app.example.test/oidc/cb`. */
const OTHER_ADDRESSES = [
  ['prefix only', 'https://app.example.test/oidc'],
  ['suffix', 'https://app.example.test/oidc/cb2'],
  ['trailing slash', 'https://app.example.test/oidc/cb/'],
  ['deeper path', 'https://app.example.test/oidc/cb/evil'],
  ['subdomain', 'https://evil.app.example.test/oidc/cb'],
  ['parent domain', 'https://example.test/oidc/cb'],
  ['domain suffix', 'https://app.example.test.evil.test/oidc/cb'],
  ['domain prefix', 'https://evilapp.example.test/oidc/cb'],
  ['query added', 'https://app.example.test/oidc/cb?x=1'],
  ['empty query', 'https://app.example.test/oidc/cb?'],
  ['fragment', 'https://app.example.test/oidc/cb#x'],
  ['empty fragment', 'https://app.example.test/oidc/cb#'],
  ['user info', 'https://app.example.test@evil.test/oidc/cb'],
  ['user info twice', 'https://app.example.test@@evil.test/oidc/cb'],
  ['user info in front', 'https://evil@app.example.test/oidc/cb'],
  ['dot segment', 'https://app.example.test/oidc/x/../cb'],
  ['dot segment with semicolon', 'https://app.example.test/oidc/..;/cb'],
  ['encoded dot segment', 'https://app.example.test/oidc/%2e%2e/oidc/cb'],
  ['encoded letter', 'https://app.example.test/oidc/c%62'],
  ['encoded slash', 'https://app.example.test/oidc%2fcb'],
  ['double slash', 'https://app.example.test//oidc/cb'],
  ['backslash', 'https://app.example.test\\@evil.test/oidc/cb'],
  ['case of the path', 'https://app.example.test/oidc/CB'],
  ['case of the host', 'https://APP.example.test/oidc/cb'],
  ['case of the scheme', 'HTTPS://app.example.test/oidc/cb'],
  ['port named', 'https://app.example.test:443/oidc/cb'],
  ['other port', 'https://app.example.test:8443/oidc/cb'],
  ['http', 'http://app.example.test/oidc/cb'],
  ['scheme-relative', '//app.example.test/oidc/cb'],
  ['javascript', 'javascript://app.example.test/oidc/cb%0aalert(1)'],
  ['trailing dot', 'https://app.example.test./oidc/cb'],
  ['leading space', ' https://app.example.test/oidc/cb'],
  ['line break', 'https://app.example.test/oidc/cb\r\nLocation: https://evil.test'],
  ['wildcard', 'https://*.example.test/oidc/cb'],
  ['localhost', 'http://localhost/oidc/cb'],
  ['empty', ''],
  ['missing', undefined],
  ['twice', ['https://app.example.test/oidc/cb', 'https://evil.test/']],
];

for (const [name, redirectUri] of OTHER_ADDRESSES) {
  shows(`redirect_uri: ${name} gets a page, never a redirect (OP-01)`, async () => {
    const page = await new Person('ada@a.test').request(await site.authorize({ redirect_uri: redirectUri }));
    assertRefused(page, redirectUri === undefined || Array.isArray(redirectUri) || redirectUri === '' ? /redirect_uri_mismatch|invalid_request/ : 'redirect_uri_mismatch', 400);
  });
}

shows('an unknown or missing client_id, and one of another organization that is disabled, get a page (OP-01)', async () => {
  for (const client_id of ['nobody', '', undefined, [site.clientId, 'nobody']]) {
    const page = await new Person('ada@a.test').request(await site.authorize({ client_id }));
    assert.equal(page.location, undefined, `redirected to ${page.location}`);
    assert.ok(page.status === 400 || page.status === 401, String(page));
  }
});

/** What the app is told by a redirect to its registered address: RFC 6749 §4.1.2.1. */
async function redirectedError(changes) {
  const url = await wire.authorize(changes);
  const page = await new Person('ada@a.test').request(url);
  assert.ok(page.location, String(page));
  assert.ok(page.location.href.startsWith(`${wire.redirectUri}?`), String(page.location));
  const answer = page.location.searchParams;
  assert.equal(answer.get('code'), null);
  assert.equal(answer.get('state'), url.state);
  assert.equal(answer.get('iss'), world.url);
  return answer.get('error');
}

for (const [name, changes] of [
  ['none', { code_challenge: undefined, code_challenge_method: undefined }],
  ['plain', { code_challenge: random(), code_challenge_method: 'plain' }],
  ['no method, which means plain', { code_challenge_method: undefined }],
  ['challenge dropped', { code_challenge: undefined }],
  ['challenge of 42 characters', { code_challenge: 'a'.repeat(42) }],
  ['challenge of 44 characters', { code_challenge: 'a'.repeat(44) }],
  ['challenge that is no base64url', { code_challenge: `${'a'.repeat(42)}=` }],
  ['unknown method', { code_challenge_method: 'S512' }],
]) {
  shows(`PKCE ${name}: invalid_request (OP-04)`, async () => {
    assert.equal(await redirectedError(changes), 'invalid_request');
  });
}

for (const [name, verifier] of [
  ['missing', () => undefined],
  ['wrong', () => random()],
  ['the challenge itself', (grant) => s256(grant.code_verifier)],
  ['of 42 characters', () => 'a'.repeat(42)],
  ['of 129 characters', () => 'a'.repeat(129)],
  ['with another case', (grant) => grant.code_verifier.toUpperCase()],
]) {
  shows(`PKCE verifier ${name}: refused (OP-04)`, async () => {
    // a verifier of forbidden length is refused although its challenge fits
    const fitting = / of \d+/.test(` ${name}`) ? { code_challenge: s256(verifier()) } : {};
    const grant = await code(fitting);
    const answer = await wire.token({ ...grant, code_verifier: verifier(grant) });
    assert.equal(answer.status, 400, answer.text);
    assert.match(answer.json.error, /^invalid_(grant|request)$/);
  });
}

for (const [name, changes, error] of [
  ['response_type token', { response_type: 'token' }, 'unsupported_response_type'],
  ['response_type missing', { response_type: undefined }, 'invalid_request'],
  ['prompt none with login', { prompt: 'none login' }, 'invalid_request'],
  ['max_age that is no number', { max_age: 'soon' }, 'invalid_request'],
  ['a request object', { request: 'eyJhbGciOiJub25lIn0.e30.' }, 'request_not_supported'],
  ['a request_uri', { request_uri: 'https://evil.test/' }, 'request_uri_not_supported'],
  ['scope given twice', { scope: ['openid', 'email'] }, 'invalid_request'],
]) {
  shows(`authorize with ${name}: ${error}, told to the app`, async () => {
    assert.equal(await redirectedError(changes), error);
  });
}

shows('an app that cannot authenticate is told invalid_client (OP-06)', async () => {
  const grant = await code();
  const wrong = new Wire({ ...wire, clientSecret: 'wrong' });
  const answers = {
    'wrong secret, basic': await wrong.token(grant),
    'wrong secret, post': await wrong.token(grant, { auth: 'post' }),
    'no secret': await wire.token(grant, { auth: 'none' }),
    'secret of another app': await new Wire({ ...wire, clientSecret: site.clientSecret }).token(grant),
    'unknown app': await wire.token(grant, { headers: { authorization: basic('nobody', 'x') } }),
    'two methods at once': await wire.token({ ...grant, client_id: wire.clientId, client_secret: wire.clientSecret }),
    'malformed basic': await wire.token(grant, { headers: { authorization: 'Basic !!!' } }),
  };
  for (const [name, { status, json, headers }] of Object.entries(answers)) {
    assert.equal(status, 401, name);
    assert.equal(json.error, 'invalid_client', name);
    if (/basic/.test(name)) assert.match(headers.get('www-authenticate') ?? '', /^Basic/, name);
  }
  // none of that burned the code of the honest app
  assert.equal((await wire.token(grant)).status, 200);
});

shows('the token endpoint takes a form by POST, and the grant types it serves', async () => {
  const { token_endpoint: endpoint } = await wire.metadata();
  assert.equal((await fetch(endpoint)).status, 405);
  assertTokenError(await wire.token({ grant_type: 'password', username: 'a', password: 'b' }), 'unsupported_grant_type');
  assertTokenError(await wire.token({ grant_type: undefined }), 'invalid_request');
  const json = await fetch(endpoint, { method: 'POST', body: '{}', headers: { 'content-type': 'application/json' } });
  assert.ok(json.status >= 400 && json.status < 500);
});

shows('discovery says what is served, and nothing more', async () => {
  const response = await fetch(`${world.url}/.well-known/openid-configuration`);
  assert.equal(response.status, 200);
  assert.match(response.headers.get('content-type'), /^application\/json/);
  assert.equal(response.headers.get('access-control-allow-origin'), '*');
  const metadata = await response.json();
  assert.equal(metadata.issuer, world.url);
  assert.deepEqual(metadata.response_types_supported, ['code']);
  assert.deepEqual(metadata.code_challenge_methods_supported, ['S256']);
  assert.equal(metadata.authorization_response_iss_parameter_supported, true);
  assert.deepEqual([...metadata.id_token_signing_alg_values_supported].sort(), ['ES256', 'RS256']);
  for (const method of ['client_secret_basic', 'client_secret_post', 'none']) assert.ok(metadata.token_endpoint_auth_methods_supported.includes(method), method);
  assert.equal(metadata.authorization_endpoint, `${world.url}/oauth2/authorize`);
  assert.equal(metadata.token_endpoint, `${world.url}/oauth2/token`);
  assert.equal(metadata.userinfo_endpoint, `${world.url}/userinfo`);
  assert.equal(metadata.jwks_uri, `${world.url}/.well-known/jwks.json`);
  assert.ok(metadata.subject_types_supported.length > 0);
  for (const scope of ['openid', 'email', 'profile']) assert.ok(metadata.scopes_supported.includes(scope), scope);
});

shows('the key set has public keys only, of good size, with kid, and may be cached for an hour at most (JWT-04, OP-16)', async () => {
  await wire.token(await code());
  const response = await fetch((await wire.metadata()).jwks_uri);
  assert.equal(response.headers.get('access-control-allow-origin'), '*');
  const age = Number(/max-age=(\d+)/.exec(response.headers.get('cache-control') ?? '')?.[1]);
  assert.ok(age > 0 && age <= 3600, response.headers.get('cache-control'));
  const { keys } = await response.json();
  assert.ok(keys.length >= 1);
  assert.equal(new Set(keys.map((k) => k.kid)).size, keys.length);
  for (const key of keys) {
    for (const secret of ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k']) assert.ok(!(secret in key), `the key set has ${secret}`);
    assert.ok(key.kid && key.alg);
    assert.equal(key.use, 'sig');
    if (key.kty === 'RSA') assert.ok(Buffer.from(key.n, 'base64url').length >= 256);
    else assert.equal(key.crv, 'P-256');
  }
});

shows('tokens have the header and the claims that a strict verifier expects (JWT-01), for one audience each (JWT-02, JWT-03)', async () => {
  const tokens = (await wire.token(await code())).json;
  const other = await register(wire.redirectUri, 'Other');
  const theirs = (await other.token(await code({}, { rp: other }))).json;
  const jwks = createRemoteJWKSet(new URL((await wire.metadata()).jwks_uri));
  for (const [own, foreign, token] of [[wire, other, tokens.id_token], [other, wire, theirs.id_token]]) {
    const { header, payload } = decode(token);
    assert.ok(header.kid && header.typ === 'JWT' && ['ES256', 'RS256'].includes(header.alg));
    assert.equal(payload.aud, own.clientId);
    for (const claim of ['iss', 'sub', 'aud', 'exp', 'iat', 'org_id', 'auth_time', 'nonce']) assert.ok(payload[claim] !== undefined, claim);
    assert.equal(payload.iss, world.url, 'no trailing slash more or less');
    await jwtVerify(token, jwks, { issuer: world.url, audience: own.clientId });
    await assert.rejects(jwtVerify(token, jwks, { issuer: world.url, audience: foreign.clientId }), /aud/);
    await assert.rejects(jwtVerify(token, jwks, { issuer: `${world.url}/`, audience: own.clientId }), /iss/);
  }
  assert.equal(decode(tokens.id_token).payload.sub, decode(theirs.id_token).payload.sub);
});

shows('userinfo takes an access token and nothing else (OP-14)', async () => {
  const tokens = (await wire.token(await code())).json;
  assert.equal((await wire.userinfo(tokens.access_token)).status, 200);
  const [head, body, signature] = tokens.access_token.split('.');
  const bad = {
    'an ID token': tokens.id_token, nothing: '', rubbish: 'abc', 'a truncated token': tokens.access_token.slice(0, -4),
    ...(signature ? { 'a token without signature': `${head}.${body}.`, 'a token with alg none': `${Buffer.from('{"alg":"none"}').toString('base64url')}.${body}.` } : {}),
  };
  for (const [name, token] of Object.entries(bad)) {
    const { status, headers } = await wire.userinfo(token);
    assert.equal(status, 401, name);
    assert.match(headers.get('www-authenticate') ?? '', /^Bearer/, name);
  }
});

shows('an app that is removed gets no more tokens (OP-15)', async () => {
  const org = await world.organization('Ended');
  const rp = await register('https://gone.example.test/cb', 'Gone', org);
  const { code: verb } = await world.run('app', 'delete', rp.clientId, '--json');
  assert.equal(verb, 0);
  assert.equal((await rp.token({ code: 'x', code_verifier: random() })).json.error, 'invalid_client');
  const page = await new Person('x').request(await rp.authorize());
  assert.equal(page.location, undefined);
});

shows('a foreign Host header changes no link and no issuer (OP-12)', async () => {
  const http = await import('node:http');
  const body = await new Promise((done, fail) => {
    http.get(`${world.url}/.well-known/openid-configuration`, { headers: { host: 'evil.test', 'x-forwarded-host': 'evil.test' } }, (res) => {
      let text = '';
      res.on('data', (chunk) => { text += chunk; }).on('end', () => done(text));
    }).on('error', fail);
  });
  assert.ok(!body.includes('evil.test'), body);
});
