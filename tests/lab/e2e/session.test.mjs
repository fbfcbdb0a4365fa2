// The session at authd: when it spares the person the provider, and how it ends.
import assert from 'node:assert/strict';
import { after, before } from 'node:test';
import { Person, World, rows, shows } from '../world.mjs';

let world;
let cast;
before(async () => {
  world = await World.start();
  cast = await world.cast({ domain: 'a.test', name: 'Aperture' });
});
after(() => world?.stop());

/** Signs in once, and answers how many times the provider was visited by what `body` does. */
async function visitsOf(body) {
  const before = world.op.visits();
  await body();
  return world.op.visits() - before;
}

/** The sessions of the person with that address. */
async function sessionsOf(email) {
  const user = rows(await world.json('user', 'list', '--org', cast.org)).find((u) => u.email === email);
  return rows(await world.json('session', 'list', '--org', cast.org, '--user', user.id));
}

shows('a second sign-in reuses the session: no page, no visit to the provider', async () => {
  const person = new Person('ada@a.test');
  const first = await person.into(cast.app);
  let second;
  assert.equal(await visitsOf(async () => { second = await person.into(cast.app); }), 0);
  assert.deepEqual(person.forms, []);
  assert.equal(second.claims.sub, first.claims.sub);
  assert.equal(second.claims.auth_time, first.claims.auth_time);
  assert.notEqual(second.code, first.code);
});

shows('a second app of the organization reuses the session too', async () => {
  const person = new Person('ada@a.test');
  await person.into(cast.app);
  const other = await world.app({ org: cast.org, name: 'Other' });
  assert.equal(await visitsOf(() => person.into(other)), 0);
});

shows('prompt=login goes to the provider again, and asks it to ask', async () => {
  const person = new Person('ada@a.test');
  const first = await person.into(cast.app);
  await new Promise((done) => setTimeout(done, 1100));
  let second;
  assert.equal(await visitsOf(async () => { second = await person.into(cast.app, { prompt: 'login' }); }), 1);
  assert.match(world.op.authorizations.at(-1).prompt ?? '', /login/);
  assert.ok(person.forms.includes('login'), 'the provider asked for the password');
  assert.equal(second.claims.sub, first.claims.sub);
  assert.ok(second.claims.auth_time > first.claims.auth_time, 'auth_time is of the new sign-in');
});

shows('max_age=0 goes to the provider again', async () => {
  const person = new Person('ada@a.test');
  await person.into(cast.app);
  assert.equal(await visitsOf(() => person.into(cast.app, { max_age: '0' })), 1);
});

shows('prompt=none answers login_required without a session, and a code with one', async () => {
  const person = new Person('ada@a.test');
  const page = await person.signIn(cast.app.loginUrl({ prompt: 'none' }));
  assert.equal(page.result.error, 'login_required');
  assert.deepEqual(person.forms, []);
  await person.into(cast.app);
  assert.ok((await person.into(cast.app, { prompt: 'none' })).ok);
});

shows('a session that the operator revokes is over at once: the next sign-in goes upstream, the tokens are refused', async () => {
  const person = new Person('rev@a.test');
  const first = await person.into(cast.app);
  assert.equal((await cast.app.wire.userinfo(first.tokens.access_token)).status, 200);
  const bystander = new Person('stays@a.test');
  const theirs = await bystander.into(cast.app);

  const mine = await sessionsOf('rev@a.test');
  assert.equal(mine.length, 1, JSON.stringify(mine));
  await world.json('session', 'revoke', mine[0].id);

  const refused = await cast.app.wire.userinfo(first.tokens.access_token);
  assert.equal(refused.status, 401);
  assert.match(refused.headers.get('www-authenticate') ?? '', /invalid_token/);
  assert.equal(await visitsOf(() => person.into(cast.app)), 1);
  // nobody else is touched
  assert.equal((await cast.app.wire.userinfo(theirs.tokens.access_token)).status, 200);
  assert.equal(await visitsOf(() => bystander.into(cast.app)), 0);
  const left = (await sessionsOf('rev@a.test')).map((s) => s.id);
  assert.ok(!left.includes(mine[0].id), 'the revoked one is not listed any more');
  // twice is no error, and a session that never was is one
  const again = await world.run('session', 'revoke', mine[0].id);
  assert.ok([0, 1].includes(again.code), again.stderr);
});

shows('a code that was not redeemed when its session is revoked is worth nothing', async () => {
  const person = new Person('late@a.test');
  const url = await cast.app.wire.authorize();
  const page = await person.signIn(url, { until: cast.app.redirectUri });
  const code = page.location.searchParams.get('code');
  assert.ok(code, String(page.location));
  const [mine] = await sessionsOf('late@a.test');
  await world.json('session', 'revoke', mine.id);
  const refused = await cast.app.wire.token({ code, code_verifier: url.verifier });
  assert.equal(refused.json.error, 'invalid_grant');
});

shows('signing in anew gives the browser a new session id', async () => {
  const person = new Person('fix@a.test');
  await person.into(cast.app);
  const before = person.jar.all(/sess/i).map((c) => c.value);
  await person.into(cast.app, { prompt: 'login' });
  const now = person.jar.all(/sess/i).map((c) => c.value);
  assert.ok(before.length > 0 && now.length > 0, 'there is a session cookie');
  assert.notDeepEqual(now, before);
});
