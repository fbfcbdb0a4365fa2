// Sign-in through a directory: Debian's OpenLDAP, the whole way from an app and back, on authd's own page.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before } from 'node:test';
import { PHONE, closeBrowser, noBrowser, openTab } from '../browser.mjs';
import { BASE, GROUPS, SERVICE, noSlapd, startSlapd } from '../slapd.mjs';
import { OUT, Person, World, shows } from '../world.mjs';

const real = { skip: noSlapd };
const browser = { skip: noSlapd || noBrowser };
let world;
let slapd;
let cast;

/** A connection to the directory, made by the CLI, with its domain vouched for. */
async function connection({ org, url, more = [] }) {
  const settings = path.join(world.root, 'ldap.json');
  fs.writeFileSync(settings, JSON.stringify({ ldap: { servers: { caCertificates: slapd.ca } } }));
  const { id } = await world.json('connection', 'create', '--org', org, '--protocol', 'ldap', '--name', 'Directory',
    '--ldap-url', url, '--ldap-bind-dn', SERVICE.dn, '--ldap-bind-password', SERVICE.password, '--ldap-search-base', BASE,
    '--ldap-group-search-base', GROUPS, '--file', settings, '--domain', 'example.test', ...more, '--activate');
  await world.json('domain', 'verify', '--connection', id, '--domain', 'example.test', '--force');
  return id;
}

before(async () => {
  if (noSlapd) return;
  slapd = await startSlapd();
  world = await World.start({
    provider: false,
    args: ['--outbound-allow', `127.0.0.1:${slapd.port}`, '--outbound-allow', `127.0.0.1:${slapd.tlsPort}`],
  });
  const org = await world.organization('Example');
  cast = { org, id: await connection({ org, url: slapd.ldaps }), app: await world.app({ org, name: 'Wiki' }) };
});
after(async () => {
  await closeBrowser();
  await world?.stop();
  await slapd?.close();
});

/** From the app over the page for the address to the page for the password, and on. */
async function signIn({ email, username = email, password }) {
  const person = new Person(email);
  let page = await person.open(cast.app.loginUrl({}));
  page = await page.submit({ email });
  assert.ok(page.forms[0]?.names.has('password'), `no page for a password: ${page}`);
  return page.submit({ username, password });
}

shows('a directory: a person signs in by address and by account name, and is the same person', real, async () => {
  const first = (await signIn({ email: 'ada@example.test', password: 'ada-secret' })).result;
  assert.ok(first.ok, JSON.stringify(first));
  assert.equal(first.claims.email, 'ada@example.test');
  assert.equal(first.claims.email_verified, true);
  const again = (await signIn({ email: 'ada@example.test', username: 'ada', password: 'ada-secret' })).result;
  assert.equal(again.claims.sub, first.claims.sub);
  const hard = (await signIn({ email: 'bob@example.test', username: 'b(ob)*', password: 'bob-sécret' })).result;
  assert.equal(hard.claims.name, 'Böb Ümläut');
});

shows('a directory: a wrong password is one sentence, and the operator learns the reason', real, async () => {
  const page = await signIn({ email: 'ada@example.test', password: 'wrong' });
  assert.equal(page.status, 401);
  assert.match(page.text, /did not work/);
  const id = /\breq_[0-9a-z]{26}\b/.exec(page.html)[0];
  const told = await world.json('explain', id);
  assert.equal(told.errorCode, 'invalid_credentials');
  assert.match(JSON.stringify(told.checks.at(-1)), /password is not right/);
  assert.ok(!page.html.includes('wrong"'));
  const right = await page.submit({ username: 'ada', password: 'ada-secret' });
  assert.ok(right.result.ok);
});

shows('a directory: the CLI shows whom a name means, and which step fails', real, async () => {
  const test = await world.json('connection', 'test', cast.id, '--username', 'ada');
  assert.equal(test.ok, true);
  assert.deepEqual(test.person.groups.map((group) => group.name).sort(), ['engineers', 'staff']);
  const change = await world.run('connection', 'set-ldap', cast.id, '--ldap-url', slapd.url, '--ldap-tls-enabled',
    '--ldap-bind-password', 'out of date');
  assert.notEqual(change.code, 0);
  assert.match(change.stderr, /name or password is not right/);
  await world.json('connection', 'set-ldap', cast.id, '--ldap-url', slapd.url, '--ldap-tls-enabled', '--ldap-bind-password', SERVICE.password);
  const result = (await signIn({ email: 'ada@example.test', password: 'ada-secret' })).result;
  assert.ok(result.ok, 'by StartTLS as well');
});

shows('a directory: no password is in the log', real, async () => {
  const log = world.log.join('\n');
  for (const secret of ['ada-secret', 'bob-sécret', SERVICE.password, 'out of date']) assert.ok(!log.includes(secret), secret);
});

for (const [name, options] of [['light', { colorScheme: 'light' }], ['dark', { colorScheme: 'dark' }], ['phone', PHONE]]) {
  shows(`a directory: a browser types name and password on a page of ours (${name})`, browser, async () => {
    const tab = await openTab({ out: path.join(OUT, 'ldap'), name, ...options });
    await tab.page.goto(cast.app.origin);
    await tab.press(tab.page.locator('a#login'));
    await tab.page.locator('input[type=email]').fill('ada@example.test');
    await tab.page.locator('form button').first().click();
    await tab.page.locator('input[type=password]').waitFor();
    await tab.shot('password');
    assert.deepEqual(await tab.accessibility(), []);
    assert.equal(await tab.overflows(), false);
    assert.equal(await tab.page.locator('input[name=username]').inputValue(), 'ada@example.test');
    assert.ok(await tab.page.locator('input[type=password]').evaluate((e) => e === document.activeElement));
    await tab.page.locator('input[type=password]').fill('wrong');
    tab.expected = /401/;
    await tab.send(tab.page.locator('form button[type=submit]'));
    await tab.shot('wrong');
    assert.deepEqual(await tab.accessibility(), []);
    await tab.page.locator('input[type=password]').fill('ada-secret');
    await tab.press(tab.page.locator('form button[type=submit]'));
    const result = JSON.parse(await tab.page.locator('pre#result').textContent());
    assert.ok(result.ok, JSON.stringify(result));
    assert.deepEqual(tab.problems, []);
    await tab.close();
  });
}
