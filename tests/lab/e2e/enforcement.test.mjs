// Single sign-on enforced, and the operator's link for when the provider is down.
import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before } from 'node:test';
import { closeBrowser, noBrowser, openTab } from '../browser.mjs';
import { OUT, Person, World, rows, shows } from '../world.mjs';

let world;
let cast;
let owner;
before(async () => {
  world = await World.start();
  cast = await world.cast({ domain: 'a.test', name: 'Aperture' });
});
after(async () => {
  await closeBrowser();
  await world?.stop();
});

const set = (...args) => world.run('enforcement', 'set', '--org', cast.org, ...args, '--json');

shows('it is refused until an owner has signed in, and a dry run names who would be locked out', async () => {
  const early = await set('--enforce');
  assert.equal(early.code, 1);
  assert.match(early.stdout + early.stderr, /enforcement_unsafe/);
  assert.match(early.stdout + early.stderr, /sign in once/);
  const ada = await new Person('ada@a.test').into(cast.app);
  owner = ada.claims.sub;
  await world.json('member', 'set-role', owner, '--org', cast.org, '--role', 'owner');
  await world.json('user', 'create', '--org', cast.org, '--email', 'guest@elsewhere.test');
  const dry = JSON.parse((await set('--enforce', '--dry-run')).stdout);
  assert.equal(dry.effect.lockedOut, 1);
  assert.equal(dry.effect.rows[0].email, 'guest@elsewhere.test');
  assert.equal((await world.json('enforcement', 'get', '--org', cast.org)).enforce, false);
  const on = await set('--enforce');
  assert.equal(on.code, 0, on.stderr);
  assert.equal((await world.json('connection', 'status', cast.connection)).enforcement.by, 'organization');
});

shows('a key of a person stops, a key of the organization does not', async () => {
  const users = async (key) => {
    const answer = await fetch(`${world.url}/v1/users`, { headers: { authorization: `Bearer ${key}` } });
    return [answer.status, (await answer.json()).code];
  };
  const mine = await world.json('api-key', 'create', '--org', cast.org, '--name', 'mine', '--user', owner, '--grant', 'user.read');
  const machine = await world.json('api-key', 'create', '--org', cast.org, '--name', 'ci', '--grant', 'user.read');
  assert.deepEqual(await users(mine.key), [403, 'sso_required']);
  assert.equal((await users(machine.key))[0], 200);
});

shows('the link lets an owner in once while the provider is down, and the session is marked', async () => {
  const made = await world.json('break-glass', '--org', cast.org, '--user', 'ada@a.test', '--for', '15m', '--reason', 'The provider is down');
  const person = new Person('ada@a.test');
  await new Person('scanner').open(made.url);
  const page = await person.open(made.url);
  assert.match(page.text, /The provider is down/);
  const own = await page.submit({});
  assert.match(own.text, /ada@a\.test/);
  const again = await new Person('ada@a.test').open(made.url);
  assert.equal(again.status, 400);
  assert.match(again.text, /break_glass_invalid/);
  const sessions = rows(await world.json('session', 'list', '--org', cast.org));
  assert.ok(sessions.some((row) => row.method === 'break_glass' && row.live));
  const kinds = rows(await world.json('audit', 'list', '--org', cast.org)).map((row) => row.kind);
  for (const kind of ['break_glass.created', 'break_glass.used', 'break_glass.refused', 'enforcement.enabled']) {
    assert.ok(kinds.includes(kind), `${kind} is not among ${kinds}`);
  }
});

shows('over the network nobody makes a link', async () => {
  const { key } = await world.json('api-key', 'create', '--org', cast.org, '--name', 'all', '--grant', '*');
  const answer = await fetch(`${world.url}/v1/break-glass`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ organization: cast.org, user: owner, reason: 'x' }),
  });
  assert.equal(answer.status, 403);
  assert.equal((await answer.json()).code, 'operator_only');
});

shows('a browser comes in by the link, and the page keeps the rules of every page', { skip: noBrowser }, async () => {
  const made = await world.json('break-glass', '--org', cast.org, '--user', owner, '--reason', 'A drill');
  const tab = await openTab({ out: path.join(OUT, 'enforcement'), name: 'break-glass' });
  await tab.page.goto(made.url);
  assert.deepEqual(await tab.accessibility(), []);
  assert.equal(await tab.overflows(), false, 'the page has to be scrolled sideways');
  await tab.press(tab.page.locator('form button[type=submit]'));
  assert.match(await tab.page.locator('body').innerText(), /ada@a\.test/);
  assert.deepEqual(tab.problems, []);
  await tab.close();
});
