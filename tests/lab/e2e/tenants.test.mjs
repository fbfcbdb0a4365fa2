// One app, many organizations: who is who, and who stays out.
import assert from 'node:assert/strict';
import { after, before } from 'node:test';
import { Person, World, assertRefused, shows } from '../world.mjs';

let world;
let vendor;
let app;
const tenants = {};
before(async () => {
  world = await World.start({ serve: false });
  world.secondProvider = await world.provider();
  await world.serve();
  vendor = await world.organization('Vendor');
  for (const [name, op] of [['north', world.op], ['south', world.secondProvider]]) {
    const org = await world.organization(name);
    tenants[name] = { org, op, domain: `${name}.test`, connection: await world.connection({ org, op, domain: `${name}.test`, name }) };
  }
  app = await world.app({ org: vendor, organizations: 'all', name: 'Product' });
});
after(() => world?.stop());

shows('one app serves two organizations, each with its own provider', async () => {
  const north = await new Person('ada@north.test').into(app);
  const south = await new Person('ada@south.test').into(app);
  assert.equal(north.claims.org_id, tenants.north.org);
  assert.equal(south.claims.org_id, tenants.south.org);
  assert.notEqual(north.claims.sub, south.claims.sub);
  assert.equal(tenants.north.op.visits(), 1);
  assert.equal(tenants.south.op.visits(), 1);
});

shows('the subject is stable per organization and person: browsers, apps and sign-ins do not change it', async () => {
  const first = await new Person('bea@north.test').into(app);
  const again = await new Person('bea@north.test').into(app);
  const elsewhere = await world.app({ org: vendor, organizations: `${tenants.north.org},${tenants.south.org}`, name: 'Second product' });
  const other = await new Person('bea@north.test').into(elsewhere);
  assert.equal(again.claims.sub, first.claims.sub);
  assert.equal(other.claims.sub, first.claims.sub);
  assert.notEqual(other.claims.aud, first.claims.aud);
  assert.notEqual((await new Person('cy@north.test').into(app)).claims.sub, first.claims.sub);
});

shows('the same upstream person in two organizations has two subjects', async () => {
  const org = await world.organization('east');
  const connection = await world.connection({ org, op: world.op, domain: 'east.test', client: 'post', more: ['--auth-method', 'client_secret_post'] });
  world.op.people.set('twin@north.test', {});
  const north = await new Person('twin@north.test').into(app);
  // the provider says the other organization's address for the same subject
  world.op.people.set('twin@north.test', { email: 'twin@east.test' });
  const east = await new Person('twin@east.test', { login: 'twin@north.test' }).into(app, { connection });
  assert.equal(east.claims.org_id, org);
  assert.notEqual(east.claims.sub, north.claims.sub);
});

shows('an app of its own organization lets nobody else in', async () => {
  const own = await world.app({ org: tenants.north.org, name: 'Internal' });
  await new Person('dan@north.test').into(own);
  const page = await new Person('dan@south.test').signIn(own.loginUrl());
  assertRefused(page, /no[_ ]connection/i);
  for (const parameters of [{ connection: tenants.south.connection }, { organization: tenants.south.org }]) {
    const refused = await new Person('dan@south.test').signIn(own.loginUrl(parameters));
    assert.notEqual(refused.status, 200, String(refused));
    assert.equal(own.results.filter((r) => r.ok).length, 1);
  }
});

shows('a session in one organization is none in another', async () => {
  const person = new Person('eve@north.test');
  await person.into(app, { organization: tenants.north.org });
  const visits = tenants.south.op.visits();
  person.login = 'eve@south.test';
  const result = await person.into(app, { organization: tenants.south.org });
  assert.equal(result.claims.org_id, tenants.south.org);
  assert.equal(tenants.south.op.visits(), visits + 1);
});

shows('a provider cannot vouch for an address of a domain that its connection does not own', async () => {
  for (const email of ['ceo@south.test', 'ceo@sub.north.test', 'ceo@north.test.evil.test', '"ceo@north.test"@evil.test', 'ceo@other.test']) {
    world.op.people.set('mallory@north.test', { email, email_verified: true });
    const before = await world.json('counts');
    const page = await new Person('mallory@north.test').signIn(app.loginUrl());
    assertRefused(page, /email_domain_not_owned|profile_invalid/);
    const now = await world.json('counts');
    for (const kind of ['users', 'identities', 'memberships', 'sessions', 'codes', 'tokens']) assert.equal(now[kind], before[kind], `${kind} changed for ${email}`);
  }
});
