// Which connection a person is sent to.
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

const start = async (email, parameters) => {
  const person = new Person(email);
  const page = await person.signIn(cast.app.loginUrl(parameters), { until: world.op.issuer });
  return { person, page };
};

shows('without a hint a page asks for the e-mail address, and the domain decides', async () => {
  const { person, page } = await start('ada@a.test');
  assert.deepEqual(person.forms, ['email']);
  assert.equal(page.location.origin, world.op.issuer);
  assert.equal(page.location.searchParams.get('redirect_uri'), world.callback(cast.connection));
});

shows('the domain is compared without regard to case and surrounding spaces', async () => {
  const { page } = await start('  Ada@A.TEST ');
  assert.equal(page.location?.origin, world.op.issuer);
});

for (const [name, parameters] of [
  ['login_hint', () => ({ login_hint: 'ada@a.test' })],
  ['organization', () => ({ organization: cast.org })],
  ['connection', () => ({ connection: cast.connection })],
]) {
  shows(`${name} skips the page`, async () => {
    const { person, page } = await start('ada@a.test', parameters());
    assert.deepEqual(person.forms, []);
    assert.equal(page.location?.origin, world.op.issuer);
  });
}

shows('the address that was given is handed to the provider as its login_hint', async () => {
  const { page } = await start('ada@a.test');
  assert.equal(page.location.searchParams.get('login_hint'), 'ada@a.test');
});

shows('a domain that no connection serves gets a page that says so', async () => {
  for (const email of ['eve@unknown.test', 'eve@sub.a.test', 'eve@a.test.unknown.test', 'eve@xa.test']) {
    const { page } = await start(email);
    assertRefused(page, /no[_ ]connection/i);
    assert.ok(page.text.includes(email.split('@')[1]), `the page does not name the domain: ${page}`);
    assert.ok(page.forms.some((f) => f.names.has('email')) || page.links.length > 0, 'there is a way on');
  }
});

shows('a login_hint of an unknown domain does not go anywhere else', async () => {
  const { page } = await start('eve@unknown.test', { login_hint: 'eve@unknown.test' });
  assert.equal(page.location, undefined);
  assert.match(page.text, /unknown\.test/);
});

shows('a domain that was only claimed routes nobody, until it is verified', async () => {
  const org = await world.organization('Claimant');
  const connection = await world.connection({ org, domain: 'claimed.test', verify: false });
  const app = await world.app({ org });
  const person = new Person('ada@claimed.test');
  assertRefused(await person.signIn(app.loginUrl(), { until: world.op.issuer }), /no[_ ]connection/i);
  await world.json('domain', 'verify', '--connection', connection, '--domain', 'claimed.test', '--force');
  await new Person('ada@claimed.test').into(app);
});

shows('a claim blocks nobody: the first to prove a domain has it, and only that one routes', async () => {
  const org = await world.organization('Squatter');
  const squatter = await world.connection({ org, domain: 'wanted.test', verify: false });
  const owner = await world.cast({ domain: 'wanted.test' });
  const late = await world.run('domain', 'verify', '--connection', squatter, '--domain', 'wanted.test', '--force', '--json');
  assert.equal(late.code, 1, late.stdout);
  assert.match(late.stdout + late.stderr, /domain_taken/);
  const vendor = await world.app({ org: cast.org, organizations: 'all' });
  const page = await new Person('ada@wanted.test').signIn(vendor.loginUrl(), { until: world.op.issuer });
  assert.equal(page.location?.searchParams.get('redirect_uri'), world.callback(owner.connection));
});

shows('a connection that is a draft or disabled takes nobody', async () => {
  const org = await world.organization('Sleeper');
  const connection = await world.connection({ org, domain: 'sleeper.test' });
  const app = await world.app({ org });
  await new Person('ada@sleeper.test').into(app);
  await world.json('connection', 'disable', connection);
  for (const parameters of [{}, { connection }, { login_hint: 'ada@sleeper.test' }]) {
    const page = await new Person('ada@sleeper.test').signIn(app.loginUrl(parameters), { until: world.op.issuer });
    assertRefused(page, /connection_disabled|no[_ ]connection/i);
  }
});

shows('what is no e-mail address gets the page again, and nothing of it is believed', async () => {
  for (const email of ['', 'nobody', '@a.test', 'ada@', `${'a'.repeat(5000)}@a.test`, '"><script>alert(1)</script>@a.test']) {
    const person = new Person(email);
    const first = await person.open(cast.app.loginUrl());
    const page = await first.submit({ email });
    assert.ok(page.status < 500, String(page));
    assert.equal(page.url.origin, world.url, `left authd for ${email.slice(0, 40)}`);
    assert.doesNotMatch(page.html, /<script/i);
  }
});

shows('a hostile login_hint is text on the page, never markup', async () => {
  const page = await new Person('x').open(cast.app.loginUrl({ login_hint: '"><script>alert(1)</script>' }));
  assert.equal(page.url.origin, world.url);
  assert.doesNotMatch(page.html, /<script/i);
});

shows('every page of authd has a strict policy and is not kept by caches', async () => {
  const first = await new Person('x').open(cast.app.loginUrl());
  const refused = await first.submit({ email: 'eve@unknown.test' });
  for (const page of [first, refused]) {
    const policy = page.headers.get('content-security-policy') ?? '';
    assert.match(policy, /default-src 'none'/);
    assert.match(policy, /frame-ancestors 'none'/);
    assert.match(policy, /base-uri 'none'/);
    assert.doesNotMatch(policy, /unsafe/);
    assert.match(page.headers.get('cache-control') ?? '', /no-store/);
    assert.equal(page.headers.get('x-content-type-options'), 'nosniff');
    assert.match(page.headers.get('referrer-policy') ?? '', /no-referrer|same-origin/);
    assert.doesNotMatch(page.html, /<script|\son\w+=|\sstyle=/i);
  }
});
