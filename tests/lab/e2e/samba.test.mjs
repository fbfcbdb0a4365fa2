// Sign-in through Active Directory: Debian's Samba as a domain controller, the whole way from an app and back.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before } from 'node:test';
import { BASE, PEOPLE, PORT, SERVICE, TLS_PORT, noSamba, startSamba } from '../samba.mjs';
import { Person, World, shows } from '../world.mjs';

const real = { skip: noSamba };
let world;
let dc;
let cast;

/** Another way to the same directory takes the password of authd's own account once more. */
const url = (url, ...more) => ['--ldap-url', url, '--ldap-bind-password', SERVICE.password, ...more];

before(async () => {
  if (noSamba) return;
  dc = await startSamba();
  world = await World.start({
    provider: false,
    args: ['--outbound-allow', `127.0.0.1:${PORT}`, '--outbound-allow', `127.0.0.1:${TLS_PORT}`],
  });
  const org = await world.organization('Corp');
  const settings = path.join(world.root, 'ldap.json');
  fs.writeFileSync(settings, JSON.stringify({ ldap: { servers: { caCertificates: dc.ca } } }));
  const { id } = await world.json('connection', 'create', '--org', org, '--protocol', 'ldap', '--name', 'Corp AD',
    '--ldap-preset', 'active_directory', ...url(dc.ldaps), '--ldap-bind-dn', SERVICE.name,
    '--ldap-search-base', BASE, '--ldap-group-search-base', BASE,
    '--file', settings, '--domain', 'example.test', '--activate');
  await world.json('domain', 'verify', '--connection', id, '--domain', 'example.test', '--force');
  cast = { org, id, app: await world.app({ org, name: 'Wiki' }) };
}, { timeout: 180_000 });
after(async () => {
  await world?.stop();
  await dc?.close();
});

async function signIn({ email = 'ada@example.test', username, password }) {
  const person = new Person(email);
  let page = await person.open(cast.app.loginUrl({}));
  page = await page.submit({ email });
  assert.ok(page.forms[0]?.names.has('password'), `no page for a password: ${page}`);
  return page.submit({ username: username ?? email, password });
}

/** What the operator learns of a sign-in that was refused. */
async function reason(page) {
  const told = await world.json('explain', /\breq_[0-9a-z]{26}\b/.exec(page.html)[0]);
  return { code: told.errorCode, says: told.checks.filter((check) => !check.ok).map((check) => check.received).join('; ') };
}

shows('a domain controller: one person by UPN, account, DOMAIN\\account, address and distinguished name', real, async () => {
  const subjects = new Set();
  const names = ['ada@corp.example.test', 'ada', 'CORP\\ada', 'corp\\ADA', 'ada@example.test', `CN=Ada Lovelace,${PEOPLE}`];
  for (const username of names) {
    const { result } = await signIn({ username, password: 'Ada-Secret-1' });
    assert.ok(result?.ok, `${username}: ${JSON.stringify(result)}`);
    assert.deepEqual([result.claims.email, result.claims.name], ['ada@example.test', 'Ada Lovelace'], username);
    subjects.add(result.claims.sub);
  }
  assert.equal(subjects.size, 1);
  const hard = (await signIn({ email: 'bob@example.test', username: "b.o'b", password: 'Böb-Sécret-1' })).result;
  assert.equal(hard.claims.name, 'Böb (X)* Ümläut');
});

shows('a domain controller: the subject is the objectGUID, and groups are found through groups', real, async () => {
  const test = await world.json('connection', 'test', cast.id, '--username', 'CORP\\ada');
  assert.equal(test.ok, true, JSON.stringify(test));
  const hex = dc.bytes('ada', 'objectGUID').toString('hex').match(/../g);
  const guid = [[3, 2, 1, 0], [5, 4], [7, 6], [8, 9], [10, 11, 12, 13, 14, 15]].map((part) => part.map((n) => hex[n]).join('')).join('-');
  assert.ok(JSON.stringify(test.person).includes(`objectguid|${guid}`), JSON.stringify(test.person));
  const groups = test.person.groups.map((group) => group.name);
  for (const name of ['engineers', 'staff', 'everybody']) assert.ok(groups.includes(name), `${name} is not among ${groups}`);
});

shows('a domain controller: what it refers to elsewhere is noticed and not asked', real, async () => {
  const page = await signIn({ username: 'ada', password: 'Ada-Secret-1' });
  assert.ok(page.result.ok);
  const signins = await world.json('audit', 'list', '--kind', 'connection.login.succeeded', '--limit', '1');
  const told = await world.json('explain', signins.items[0].requestId);
  const referral = told.checks.find((check) => check.name === 'ldap_referral');
  assert.ok(referral?.ok, JSON.stringify(told.checks));
  assert.match(referral.received, /none was asked/);
});

shows('a domain controller: without encryption the bind is refused, and the report says what helps', real, async () => {
  const change = await world.run('connection', 'set-ldap', cast.id, ...url(dc.url));
  assert.notEqual(change.code, 0);
  assert.match(change.stderr, /ldaps or StartTLS/);
  await world.json('connection', 'set-ldap', cast.id, ...url(dc.url, '--ldap-tls-enabled'));
  const { result } = await signIn({ username: 'ada', password: 'Ada-Secret-1' });
  assert.ok(result.ok, 'by StartTLS');
  await world.json('connection', 'set-ldap', cast.id, ...url(dc.ldaps));
});

shows('a domain controller: accounts that may not sign in are one sentence, and the operator reads which it is', real, async () => {
  const sentences = new Set();
  for (const [account, password, says] of [
    ['ada', 'Wrong-Secret-1', /password is not right/],
    ['dora', 'Dora-Secret-1', /account is disabled/],
    ['mia', 'Mia-Secret-1', /password must be changed/],
    ['eve', 'Eve-Secret-1', /account has expired/],
    ['nobody', 'No-Secret-1', /no entry/],
  ]) {
    const page = await signIn({ email: `${account}@example.test`, username: account, password });
    assert.equal(page.status, 401, `${account}: ${page}`);
    const told = await reason(page);
    assert.equal(told.code, 'invalid_credentials', account);
    assert.match(told.says, says, account);
    sentences.add(/[^.>]*did not work[^.<]*/.exec(page.html)?.[0]);
    assert.doesNotMatch(page.text, /disabled|expired|must be changed|NT_STATUS|data 5/i, account);
  }
  assert.equal(sentences.size, 1, 'the person hears the same, whatever it is');
});

shows('a domain controller: people bind by their own names, without an account of ours', real, async () => {
  const set = (values) => world.json('connection', 'set-ldap', cast.id, ...Object.entries(values).flatMap(([field, value]) => ['--set', `bind.${field}=${value}`]));
  await set({ mode: 'direct', dn: '', password: '', userDnTemplate: '{{username}}@corp.example.test' });
  for (const username of ['ada', 'Ada@corp.example.test']) {
    const { result } = await signIn({ username, password: 'Ada-Secret-1' });
    assert.ok(result?.ok, `${username}: ${JSON.stringify(result)}`);
    assert.equal(result.claims.email, 'ada@example.test');
  }
  const page = await signIn({ username: 'ada', password: 'Wrong-Secret-1' });
  assert.equal(page.status, 401);
  await set({ mode: 'service', dn: SERVICE.name, password: SERVICE.password, userDnTemplate: '' });
  assert.ok((await signIn({ username: 'ada', password: 'Ada-Secret-1' })).result.ok);
});

shows('a domain controller: reading it page by page makes people known, and ends the access of who is disabled', real, async () => {
  // The default of the domain is 1,000 in one answer; the pages are asked for all the same.
  await world.json('connection', 'set-ldap', cast.id, '--set', 'sync.enabled=true', '--set', 'sync.everybody=true');
  const first = await world.json('connection', 'sync', cast.id);
  assert.ok(JSON.stringify(first).length > 2, JSON.stringify(first));
  const members = await world.json('user', 'list', '--org', cast.org, '--limit', '100');
  const emails = members.items.map((member) => member.email);
  for (const email of ['ada@example.test', 'crowd0@example.test', 'crowd29@example.test']) assert.ok(emails.includes(email), `${email} is not among ${emails}`);

  const person = new Person('ada@example.test');
  let page = await person.open(cast.app.loginUrl({}));
  page = await page.submit({ email: 'ada@example.test' });
  page = await page.submit({ username: 'ada', password: 'Ada-Secret-1' });
  assert.ok(page.result.ok);
  dc.change(`dn: CN=Ada Lovelace,${PEOPLE}\nchangetype: modify\nreplace: userAccountControl\nuserAccountControl: 514\n`);
  await world.json('connection', 'sync', cast.id);
  const after = await world.json('user', 'list', '--org', cast.org, '--limit', '100');
  assert.notEqual(after.items.find((member) => member.email === 'ada@example.test').status, 'active');
  page = await person.open(cast.app.loginUrl({}));
  assert.ok(page.forms[0]?.names.has('email'), `the session has ended: ${page}`);
  dc.change(`dn: CN=Ada Lovelace,${PEOPLE}\nchangetype: modify\nreplace: userAccountControl\nuserAccountControl: 512\n`);
});

shows('a domain controller: no password is in the log', real, async () => {
  const log = world.log.join('\n');
  for (const secret of ['Ada-Secret-1', 'Böb-Sécret-1', 'Dora-Secret-1', SERVICE.password]) assert.ok(!log.includes(secret), secret);
});
