// app → authd → provider → authd → app without a browser, over everything that can differ on the way.
import assert from 'node:assert/strict';
import { after, before } from 'node:test';
import { Person, World, shows } from '../world.mjs';

let world;
before(async () => { world = await World.start(); });
after(() => world?.stop());

/** What every good result has, whatever the app and the connection are. */
function assertGood({ claims, header, userinfo, tokens, accessTokenHeader }, { org, app, email, alg = 'ES256' }) {
  assert.equal(claims.iss, world.url);
  assert.equal(claims.aud, app.clientId, 'one exact audience, as a string');
  assert.equal(claims.org_id, org);
  assert.equal(claims.email, email);
  assert.equal(claims.email_verified, true);
  assert.equal(claims.name, `${email.split('@')[0].replace(/^./, (c) => c.toUpperCase())} Lovelace`);
  assert.notEqual(claims.sub, `sub|${email}`, 'the subject is authd\'s own');
  assert.notEqual(claims.sub, email);
  assert.ok(claims.exp > claims.iat && claims.exp - claims.iat <= 24 * 3600);
  assert.ok(Number.isInteger(claims.auth_time) && claims.auth_time <= claims.iat + 1);
  assert.equal(header.alg, alg);
  assert.equal(header.typ, 'JWT');
  assert.ok(header.kid);
  assert.equal(userinfo.sub, claims.sub);
  assert.equal(userinfo.email, email);
  assert.equal(tokens.token_type.toLowerCase(), 'bearer');
  assert.ok(tokens.expires_in > 0 && tokens.expires_in <= 24 * 3600);
  if (accessTokenHeader) assert.ok(accessTokenHeader.kid && accessTokenHeader.alg && accessTokenHeader.typ);
}

let count = 0;
async function signsIn({ client, more, app: appOptions = {}, alg }) {
  count += 1;
  const domain = `s${count}.test`;
  const cast = await world.cast({ domain, client, more, app: appOptions });
  const person = new Person(`ada@${domain}`);
  const result = await person.into(cast.app);
  assert.deepEqual(person.forms, ['email', 'login', 'consent']);
  assertGood(result, { ...cast, email: `ada@${domain}`, alg });
  return { ...cast, result, person };
}

for (const [what, app, alg] of [
  ['ES256, which is the default', {}, 'ES256'],
  ['RS256', { idTokenAlg: 'RS256' }, 'RS256'],
]) {
  shows(`an app gets tokens signed with ${what}`, async () => {
    await signsIn({ app, alg });
  });
}

for (const auth of ['basic', 'post', 'none']) {
  shows(`an app authenticates with ${auth === 'none' ? 'PKCE alone, as a public client' : `client_secret_${auth}`}`, async () => {
    await signsIn({ app: { auth } });
  });
}

for (const [client, more] of [
  ['basic'],
  ['post', ['--auth-method', 'client_secret_post']],
  ['awkward'],
  ['public', ['--auth-method', 'none']],
  ['es256'],
  ['eddsa'],
  ['ed25519'],
]) {
  shows(`authd is the client ${client} of the provider`, async () => {
    await signsIn({ client, more });
    const sent = world.op.authorizations.at(-1);
    assert.equal(sent.code_challenge_method, 'S256');
    assert.equal(sent.code_challenge.length, 43);
    assert.ok(sent.nonce && sent.state, 'nonce and state are always sent');
    assert.equal(sent.client_id, client);
  });
}

shows('every authorization request has its own state, nonce and challenge', async () => {
  const { app, domain } = await world.cast({ domain: 'fresh.test' });
  const before = world.op.authorizations.length;
  for (let i = 0; i < 10; i += 1) await new Person(`p${i}@${domain}`).into(app);
  const sent = world.op.authorizations.slice(before);
  for (const name of ['state', 'nonce', 'code_challenge']) {
    assert.equal(new Set(sent.map((s) => s[name])).size, 10, `${name} repeats`);
  }
});

shows('what the provider says of a person is kept and told: names, groups, an updated name at the next sign-in', async () => {
  const { app, org, domain } = await world.cast({ domain: 'profile.test' });
  const email = `ada@${domain}`;
  const first = await new Person(email).into(app);
  assert.equal(first.claims.given_name, 'Ada');
  assert.equal(first.claims.family_name, 'Lovelace');
  const { items } = await world.json('user', 'list', '--org', org);
  assert.equal(items.length, 1);
  assert.equal(items[0].email, email);
  // an address that changed at the provider is still the same person: sign-in goes by (issuer, subject)
  world.op.people.set(email, { email: `augusta@${domain}` });
  const second = await new Person(email).into(app);
  assert.equal(second.claims.sub, first.claims.sub);
  assert.equal((await world.json('user', 'list', '--org', org)).items.length, 1);
});

shows('cookies that authd sets are HttpOnly, SameSite and without a domain', async () => {
  const { app, domain } = await world.cast({ domain: 'cookies.test' });
  const person = new Person(`ada@${domain}`);
  await person.into(app);
  const own = person.jar.all(/^(?!op\d|app\d)/);
  assert.ok(own.length > 0);
  for (const cookie of own) {
    assert.ok(cookie.httpOnly, `${cookie.name} is not HttpOnly`);
    assert.match(cookie.sameSite, /^(lax|strict)$/, cookie.name);
    assert.equal(cookie.domain, undefined, cookie.name);
    assert.doesNotMatch(cookie.name, /^__/, 'plain names on loopback http');
  }
});

shows('no secret and no token is in the log', async () => {
  const { app, domain, result } = await signsIn({ client: 'basic' });
  const log = world.log.join('\n');
  assert.ok(log.length > 0);
  for (const [name, secret] of Object.entries({
    'the provider\'s client secret': 'a-long-enough-client-secret', 'the app\'s secret': app.clientSecret, code: result.code,
    'ID token': result.tokens.id_token, 'access token': result.tokens.access_token, verifier: result.verifier, domain: `ada@${domain}`,
  })) {
    assert.ok(!log.includes(secret), `${name} is in the log`);
  }
});
