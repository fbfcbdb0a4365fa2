// A sign-in that does not succeed says so: a page with code and request id, a trace for the operator, and nothing changed.
import assert from 'node:assert/strict';
import { after, before } from 'node:test';
import { Person, World, assertRefused, shows } from '../world.mjs';

let world;
let cast;
before(async () => {
  world = await World.start();
  cast = await world.cast({ domain: 'a.test', name: 'Aperture' });
});
after(() => world?.stop());

const KEPT = ['users', 'identities', 'memberships', 'sessions', 'codes', 'tokens'];

/** Does `body`, which ends on a page, and holds that page against the contract of a refusal; answers the request id. */
async function refuses(code, body) {
  const before = await world.json('counts');
  const page = await body();
  const requestId = assertRefused(page, code);
  for (const cookie of page.headers.getSetCookie()) assert.doesNotMatch(cookie, /^[^=]*sess[^=]*=[^;]{8}/i, 'a session cookie');
  const now = await world.json('counts');
  for (const kind of KEPT) {
    assert.ok(Number.isInteger(now[kind]), `${kind} is not counted`);
    assert.equal(now[kind], before[kind], `${kind} changed`);
  }
  assert.equal((await fetch(`${world.url}/healthz`)).status, 200);
  return requestId;
}

/** The trace of a refusal, as `authd explain` prints it: in words, and as JSON. */
async function explain(requestId) {
  const { code, stdout, stderr } = await world.run('explain', requestId);
  assert.equal(code, 0, stderr);
  return { text: stdout, json: await world.json('explain', requestId) };
}

shows('a provider that denies: the page says upstream_denied, and explain prints the trace', async () => {
  const requestId = await refuses('upstream_denied', () => new Person('ada@a.test').signIn(cast.app.loginUrl(), { answer: 'deny' }));
  const { text, json } = await explain(requestId);
  assert.match(text, /upstream_denied/);
  assert.match(text, /access_denied/, 'what the provider said');
  assert.ok(text.includes(cast.connection), 'the connection');
  assert.ok(text.includes(requestId));
  assert.ok(JSON.stringify(json).includes('upstream_denied'));
});

shows('an address that the provider has not verified: email_not_verified, and explain shows expected and received', async () => {
  const requestId = await refuses('email_not_verified', () => new Person('unverified@a.test').signIn(cast.app.loginUrl()));
  const { text } = await explain(requestId);
  assert.match(text, /email_verified/);
  assert.match(text, /expected/i);
  assert.match(text, /false/);
  for (const check of ['state', 'nonce', 'signature']) assert.match(text, new RegExp(check), `the trace lacks ${check}`);
});

for (const value of ['false', 0, 1, 'yes', null]) {
  shows(`email_verified: ${JSON.stringify(value)} is not verified`, async () => {
    const email = `odd${typeof value}${value}@a.test`;
    world.op.people.set(email, { email_verified: value });
    await refuses('email_not_verified', () => new Person(email).signIn(cast.app.loginUrl()));
  });
}

shows('a callback in another browser is refused, and the right browser is not harmed by it', async () => {
  const victim = new Person('ada@a.test');
  const sent = await victim.signIn(cast.app.loginUrl(), { until: world.callback(cast.connection) });
  await refuses(/state_mismatch|flow_mismatch/, () => new Person('eve@a.test').open(sent.location));
  const page = await victim.open(sent.location);
  assert.ok(page.url.href.startsWith(cast.app.origin) || page.status >= 400);
});

shows('a callback without state, with an unknown state, or used before is refused', async () => {
  const callback = world.callback(cast.connection);
  await refuses('state_mismatch', () => new Person('x').open(`${callback}?code=abc`));
  await refuses('state_mismatch', () => new Person('x').open(`${callback}?code=abc&state=unknown`));
  await refuses('state_mismatch', () => new Person('x').open(`${callback}?code=abc&state=a&state=b`));
  const person = new Person('ada@a.test');
  const sent = await person.signIn(cast.app.loginUrl(), { until: callback });
  const first = await person.open(sent.location);
  assert.ok(first.result.ok);
  await refuses('state_mismatch', () => person.open(sent.location));
});

shows('an answer with the issuer of somebody else is refused before its code is sent anywhere', async () => {
  const person = new Person('ada@a.test');
  const sent = await person.signIn(cast.app.loginUrl(), { until: world.callback(cast.connection) });
  const forged = new URL(sent.location);
  assert.equal(forged.searchParams.get('iss'), world.op.issuer);
  forged.searchParams.set('iss', 'https://evil.test');
  const tokenRequests = () => world.op.seen.filter((line) => line.startsWith('POST /token')).length;
  const before = tokenRequests();
  await refuses('issuer_mismatch', () => person.open(forged));
  assert.equal(tokenRequests(), before);
});

shows('a connection disabled between the two halves lets nobody finish', async () => {
  const other = await world.cast({ domain: 'b.test' });
  const person = new Person('ada@b.test');
  const sent = await person.signIn(other.app.loginUrl(), { until: world.callback(other.connection) });
  await world.json('connection', 'disable', other.connection);
  await refuses('connection_disabled', () => person.open(sent.location));
});

shows('a provider that is down: a page in words, within the time limit', async () => {
  const lone = await World.start();
  try {
    const { app, connection } = await lone.cast({ domain: 'lone.test' });
    const person = new Person('ada@lone.test');
    const sent = await person.signIn(app.loginUrl(), { until: lone.callback(connection) });
    await lone.op.close();
    const began = performance.now();
    const page = await person.open(sent.location);
    assert.ok(performance.now() - began < 15_000);
    assert.ok(page.status >= 400, String(page));
    assert.match(page.text, /upstream_unavailable/);
    assert.match(page.html, /req_[0-9a-z]{26}/);
  } finally {
    await lone.stop();
  }
});

shows('explain of a request id that never was is an error with a next step', async () => {
  const { code, stderr } = await world.run('explain', 'req_00000000000000000000000000');
  assert.equal(code, 1);
  assert.match(stderr, /^error: /m);
});
