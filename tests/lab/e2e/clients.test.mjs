// npm openid-client (certified) beyond the code: refresh, client credentials, introspection, revocation. And the tokens
// that authd takes of others, as a client of Convex sends them.
import assert from 'node:assert/strict';
import { after, before } from 'node:test';
import { SignJWT, decodeProtectedHeader, exportJWK, generateKeyPair } from 'jose';
import * as oidc from 'openid-client';
import { Person, World, run, shows } from '../world.mjs';

let world;
let cast;
before(async () => {
  world = await World.start();
  cast = await world.cast({ domain: 'a.test', name: 'Aperture' });
});
after(() => world?.stop());

/** The error of OAuth that a call ends with. */
const errorOf = (call) => call.then(() => assert.fail('it was not refused'), (error) => error.error ?? error.cause?.error ?? String(error));

/** A machine of its own, on openid-client. */
async function machine({ scopes = [], more = [] } = {}) {
  const made = await world.json('app', 'create', '--org', cast.org, '--name', 'Machine', '--grant-type', 'client_credentials',
    ...scopes.flatMap((scope) => ['--scope', scope]), ...more);
  const config = await oidc.discovery(new URL(world.url), made.clientId, { client_secret: made.clientSecret }, oidc.ClientSecretBasic(made.clientSecret), {
    execute: [oidc.allowInsecureRequests],
  });
  return { ...made, config };
}

async function signedIn(scope = 'openid email profile offline_access') {
  cast.app.scope = scope;
  const { tokens, claims } = await new Person('ada@a.test').into(cast.app);
  return { tokens, claims, config: cast.app.config };
}

shows('openid-client refreshes: new tokens for the same person, and the old refresh token ends with its family (OP-05)', async () => {
  const { tokens, claims, config } = await signedIn();
  assert.ok(tokens.refresh_token, 'offline_access was granted');
  const second = await oidc.refreshTokenGrant(config, tokens.refresh_token);
  assert.notEqual(second.refresh_token, tokens.refresh_token);
  assert.equal(second.claims().sub, claims.sub);
  assert.equal(second.claims().auth_time, claims.auth_time);
  assert.equal((await oidc.fetchUserInfo(config, second.access_token, claims.sub)).email, 'ada@a.test');
  // within the grace the same successor, as after an answer that was lost
  const lost = await oidc.refreshTokenGrant(config, tokens.refresh_token);
  assert.equal(lost.refresh_token, second.refresh_token);
  const third = await oidc.refreshTokenGrant(config, second.refresh_token, { scope: 'openid' });
  assert.equal(third.scope, 'openid');
  // two generations back is no lost answer: somebody has a copy
  assert.equal(await errorOf(oidc.refreshTokenGrant(config, tokens.refresh_token)), 'invalid_grant');
  assert.equal(await errorOf(oidc.refreshTokenGrant(config, third.refresh_token)), 'invalid_grant');
});

shows('openid-client may narrow the scope of a refresh, never widen it (OP-07)', async () => {
  const { tokens, config } = await signedIn('openid offline_access');
  assert.equal(await errorOf(oidc.refreshTokenGrant(config, tokens.refresh_token, { scope: 'openid email' })), 'invalid_scope');
  const narrowed = await oidc.refreshTokenGrant(config, tokens.refresh_token, { scope: 'openid' });
  assert.equal(narrowed.scope, 'openid');
});

shows('openid-client gets a token in its own name by client credentials', async () => {
  const { config, clientId } = await machine({ scopes: ['docs.read', 'docs.write'], more: ['--audience', 'https://api.example.test'] });
  const tokens = await oidc.clientCredentialsGrant(config, { scope: 'docs.read' });
  assert.equal(tokens.scope, 'docs.read');
  assert.equal(tokens.id_token, undefined);
  assert.equal(tokens.refresh_token, undefined);
  assert.equal(decodeProtectedHeader(tokens.access_token).typ, 'at+jwt');
  const told = await oidc.tokenIntrospection(config, tokens.access_token);
  assert.equal(told.active, true);
  assert.equal(told.aud, 'https://api.example.test');
  assert.equal(told.sub, clientId);
  assert.equal(await errorOf(oidc.clientCredentialsGrant(config, { scope: 'docs.delete' })), 'invalid_scope');
});

shows('openid-client introspects and revokes; what is revoked is over at once', async () => {
  const { tokens, claims, config } = await signedIn();
  const told = await oidc.tokenIntrospection(config, tokens.access_token);
  assert.equal(told.active, true);
  assert.equal(told.sub, claims.sub);
  assert.equal(told.client_id, cast.app.clientId);
  assert.equal((await oidc.tokenIntrospection(config, tokens.refresh_token)).active, true);
  assert.equal((await oidc.tokenIntrospection(config, 'rubbish')).active, false);
  await oidc.tokenRevocation(config, tokens.refresh_token);
  assert.equal((await oidc.tokenIntrospection(config, tokens.refresh_token)).active, false);
  assert.equal(await errorOf(oidc.refreshTokenGrant(config, tokens.refresh_token)), 'invalid_grant');
  assert.equal((await oidc.tokenIntrospection(config, tokens.access_token)).active, false, 'the access tokens of the family too');
  await oidc.tokenRevocation(config, 'rubbish'); // RFC 7009 §2.2
});

shows('an app learns nothing about the tokens of another app', async () => {
  const { tokens } = await signedIn();
  const other = await machine();
  assert.deepEqual({ ...await oidc.tokenIntrospection(other.config, tokens.access_token) }, { active: false });
});

/** An issuer whose keys stand in the setting. */
async function trusted(audience, more = []) {
  const { publicKey, privateKey } = await generateKeyPair('ES256', { extractable: true });
  const jwk = { ...await exportJWK(publicKey), kid: 'key-1', alg: 'ES256', use: 'sig' };
  const jwks = `data:application/json;base64,${Buffer.from(JSON.stringify({ keys: [jwk] })).toString('base64')}`;
  const issuer = await world.json('issuer', 'create', '--org', cast.org, '--kind', 'customJwt', '--issuer', 'https://issuer.example.test',
    '--jwks', jwks, '--algorithm', 'ES256', '--application-id', audience, ...more);
  const sign = (claims = {}, header = {}) => new SignJWT({ name: 'Ada', properties: { id: 'p1' }, ...claims })
    .setProtectedHeader({ alg: 'ES256', kid: 'key-1', typ: 'JWT', ...header })
    .setIssuer(claims.iss ?? 'https://issuer.example.test').setAudience(claims.aud ?? audience).setSubject('user-1').setIssuedAt()
    .setExpirationTime(claims.exp ?? '5m').sign(privateKey);
  return { issuer, sign };
}

const identity = (token) => fetch(`${world.url}/v1/identity`, { headers: { authorization: `Bearer ${token}` } });

shows('a token of a trusted issuer, signed by npm jose, proves an identity', async () => {
  const { issuer, sign } = await trusted('jose-app', ['--store-users']);
  const answer = await identity(await sign());
  assert.equal(answer.status, 200);
  const who = await answer.json();
  assert.equal(who.tokenIdentifier, 'https://issuer.example.test|user-1');
  assert.equal(who.name, 'Ada');
  assert.equal(who['properties.id'], 'p1');
  assert.equal(who.organizationId, cast.org);
  const user = await world.json('user', 'get', who.userId);
  assert.equal(user.name, 'Ada');
  assert.equal((await identity(await sign({ aud: 'other' }))).status, 401);
  await world.json('issuer', 'delete', issuer.id).catch(() => {});
  assert.equal((await identity(await sign())).status, 401);
});

shows('authd explain token names the wrong setting, from the server and without one, and repeats nothing of the token', async () => {
  const { sign } = await trusted('explained-app');
  const good = await sign();
  const taken = await world.run('explain', 'token', good);
  assert.equal(taken.code, 0, taken.stderr);
  const cases = [
    [await sign({ aud: 'other' }), 'applicationID'],
    [await sign({ iss: 'https://issuer.example.test/' }), 'issuer'],
    [await sign({ exp: '-1m' }), 'exp'],
    [await sign({}, { kid: 'key-2' }), 'jwks'],
    ['rubbish', 'token'],
  ];
  const args = ['--data-dir', world.dataDir, 'explain', 'token', '-', '--json'];
  for (const [token, setting] of cases) {
    const told = await run(args, { cwd: world.root, input: `${token}\n` });
    assert.equal(told.code, 1, told.stderr);
    const report = JSON.parse(told.stdout);
    assert.equal(report.ok, false);
    assert.equal(report.checks.at(-1).setting, setting, told.stdout);
    const text = await world.run('explain', 'token', token);
    assert.match(text.stdout, new RegExp(`${setting}: `));
    if (token.includes('.')) for (const part of token.split('.')) assert.ok(!`${told.stdout}${text.stdout}${text.stderr}`.includes(part));
  }
  // without a running server
  await world.halt();
  try {
    const told = await run(args, { cwd: world.root, input: good });
    assert.equal(told.code, 0, told.stderr);
    assert.equal(JSON.parse(told.stdout).ok, true);
    const nowhere = await run(['--data-dir', `${world.dataDir}-not-there`, 'explain', 'token', good], { cwd: world.root });
    assert.notEqual(nowhere.code, 0);
  } finally {
    await world.serve();
  }
  assert.ok(!world.log.join('\n').includes(good.split('.')[2]), 'no token in the log');
});

shows('authd app convex-config prints a file that TypeScript and Convex read, with an applicationID always (JWT-02)', async () => {
  const made = await world.json('app', 'create', '--org', cast.org, '--name', 'Convex', '--kind', 'convex', '--redirect-uri', 'https://convex.example.test/cb');
  for (const more of [[], ['--custom-jwt']]) {
    const { code, stdout } = await world.run('app', 'convex-config', made.clientId, ...more);
    assert.equal(code, 0);
    const { default: config } = await import(`data:text/javascript,${encodeURIComponent(stdout)}`);
    assert.equal(config.providers.length, 1);
    const [provider] = config.providers;
    assert.equal(provider.applicationID, made.clientId);
    assert.equal(provider.domain ?? provider.issuer, world.url);
    if (more.length) assert.deepEqual([provider.type, provider.algorithm], ['customJwt', 'ES256']);
  }
});
