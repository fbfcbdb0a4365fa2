// authd is killed at the worst moments; nobody has to begin again.
import assert from 'node:assert/strict';
import { after, before } from 'node:test';
import { Person, World, shows } from '../world.mjs';

let world;
let cast;
before(async () => {
  world = await World.start();
  cast = await world.cast({ domain: 'a.test', name: 'Aperture' });
});
after(() => world?.stop());

async function killAndRestart() {
  const how = await world.halt('SIGKILL');
  assert.equal(how.signal, 'SIGKILL');
  const took = await world.serve();
  // a debug build on a busy machine; the budget of one second is held by the store's own loop
  assert.ok(took < 5000, `ready only after ${took} ms`);
}

shows('kill -9 between authorize and callback: the callback still finishes', async () => {
  const person = new Person('ada@a.test');
  const sent = await person.signIn(cast.app.loginUrl(), { until: world.callback(cast.connection) });
  await killAndRestart();
  const page = await person.open(sent.location);
  assert.ok(page.result.ok, String(page));
  assert.equal(page.result.claims.email, 'ada@a.test');
});

shows('kill -9 between the e-mail page and its answer: the form still works', async () => {
  const person = new Person('bea@a.test');
  const form = await person.open(cast.app.loginUrl());
  await killAndRestart();
  const page = await form.submit({ email: person.email });
  assert.equal(page.url.origin, world.op.issuer, String(page));
});

shows('kill -9 between code and token: the code is good, once', async () => {
  const { wire } = cast.app;
  const url = await wire.authorize();
  const page = await new Person('cy@a.test').signIn(url, { until: wire.redirectUri });
  const grant = { code: page.location.searchParams.get('code'), code_verifier: url.verifier };
  await killAndRestart();
  assert.equal((await wire.token(grant)).status, 200);
  await killAndRestart();
  assert.equal((await wire.token(grant)).json.error, 'invalid_grant');
});

shows('kill -9 after a sign-in: session, keys and tokens are still good', async () => {
  const person = new Person('dan@a.test');
  const first = await person.into(cast.app);
  await killAndRestart();
  assert.equal((await cast.app.wire.userinfo(first.tokens.access_token)).status, 200);
  const visits = world.op.visits();
  const second = await person.into(cast.app);
  assert.equal(second.header.kid, first.header.kid);
  assert.equal(world.op.visits(), visits);
});

shows('a stop in order ends with 0, and what was begun before goes on after', async () => {
  const person = new Person('eve@a.test');
  const sent = await person.signIn(cast.app.loginUrl(), { until: world.callback(cast.connection) });
  assert.deepEqual(await world.halt('SIGTERM'), { code: 0, signal: null });
  await world.serve();
  assert.ok((await person.open(sent.location)).result.ok);
});
