// Webhooks in both directions, with the libraries that teams use on the other side.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { after, before } from 'node:test';
import { OUT, World, rows, shows } from '../world.mjs';
import { freePort } from '../web.mjs';
import { send, startPythonReceiver, startReceiver, verdict } from '../webhooks.mjs';

const python = process.env.AUTHD_LAB_PYTHON ?? path.join(OUT, 'python/bin/python');
const skip = fs.existsSync(python) ? false : `no ${python}: tests/run makes it`;
const ownSecret = () => `whsec_${Buffer.from(crypto.getRandomValues(new Uint8Array(24 + Math.floor(Math.random() * 9)))).toString('base64')}`;

let world;
let org;
let receiver;
const servers = [];
before(async () => {
  receiver = await startReceiver();
  servers.push(receiver);
  world = await World.start({ provider: false, args: ['--outbound-allow', '127.0.0.0/8'] });
  org = (await world.json('org', 'create', '--name', 'Aperture')).id;
});
after(async () => {
  await world?.stop();
  await Promise.all(servers.map((server) => server.close()));
});

const person = (name) => world.json('user', 'create', '--org', org, '--email', `${name}@a.test`, '--name', 'Öber & "Co" \u{1f600}');

/** Waits until `done` answers something. */
async function until(done, what, patience = 20_000) {
  for (let left = patience; left > 0; left -= 50) {
    const found = await done();
    if (found) return found;
    await sleep(50);
  }
  return assert.fail(`still no ${what}`);
}

shows('webhooks: npm svix and standardwebhooks accept what is sent, under both families of headers', async () => {
  const made = await world.json('webhook', 'create', '--org', org, '--url', receiver.url, '--subscribe', 'user.*');
  receiver.secrets = [made.secret];
  const { id } = await person('ada');
  const heard = await until(() => receiver.heard.find((one) => one.json.data.subjectId === id), 'delivery');
  assert.deepEqual([heard.svix, heard.standard], ['ok', 'ok']);
  assert.equal(heard.json.type, 'user.created');
  for (const name of ['id', 'timestamp', 'signature']) assert.equal(heard.headers[`svix-${name}`], heard.headers[`webhook-${name}`]);
  // Whatever is changed on the way, both refuse it.
  for (const [library, prefix] of [['svix', 'svix'], ['standard', 'webhook']]) {
    assert.equal(verdict(library, made.secret, heard.body, heard.headers), 'ok');
    const spoiled = [
      ['body', heard.body.replace('user.created', 'user.deleted'), heard.headers],
      ['space', `${heard.body} `, heard.headers],
      ['written anew', JSON.stringify(heard.json, null, 1), heard.headers],
      ['id', heard.body, { ...heard.headers, [`${prefix}-id`]: 'evt_another' }],
      ['time', heard.body, { ...heard.headers, [`${prefix}-timestamp`]: String(Number(heard.headers['webhook-timestamp']) + 1) }],
      ['signature', heard.body, { ...heard.headers, [`${prefix}-signature`]: heard.headers['webhook-signature'].replace(/.{4}$/, 'AAA=') }],
    ];
    for (const [what, body, headers] of spoiled) assert.match(verdict(library, made.secret, body, headers), /^refused/, `${library}: ${what}`);
    assert.match(verdict(library, ownSecret(), heard.body, heard.headers), /^refused/);
  }
  await world.json('webhook', 'delete', made.id);
});

shows('webhooks: while a secret changes, receivers with the old one and with the new one both accept', async () => {
  const made = await world.json('webhook', 'create', '--org', org, '--url', receiver.url, '--subscribe', 'user.created');
  const fresh = await world.json('webhook', 'rotate-secret', made.id);
  for (const [who, secret] of [['bea', made.secret], ['cy', fresh.secret]]) {
    receiver.secrets = [secret];
    const { id } = await person(who);
    const heard = await until(() => receiver.heard.find((one) => one.json.data.subjectId === id), 'delivery');
    assert.deepEqual([heard.svix, heard.standard], ['ok', 'ok'], who);
  }
  await world.json('webhook', 'delete', made.id);
});

shows('webhooks: PyPI svix and standardwebhooks accept ours and refuse others', { skip }, async () => {
  const secret = ownSecret();
  const theirs = await startPythonReceiver(python, [secret]);
  const stranger = await startPythonReceiver(python, [ownSecret()]);
  servers.push(theirs, stranger);
  const made = await world.json('webhook', 'create', '--org', org, '--url', theirs.url, '--secret', secret);
  const other = await world.json('webhook', 'create', '--org', org, '--url', stranger.url, '--secret', secret, '--subscribe', 'user.created');
  await person('dan');
  const heard = await until(() => theirs.heard.find((one) => one.kind === 'user.created'), 'delivery');
  assert.deepEqual([heard.svix, heard.standard], ['ok', 'ok']);
  assert.ok(theirs.heard.every((one) => one.svix === 'ok' && one.standard === 'ok'));
  const refused = await until(() => stranger.heard[0], 'refusal');
  assert.ok(refused.svix !== 'ok' && refused.standard !== 'ok', JSON.stringify(refused));
  // authd has seen the refusal, and will try again.
  const delivery = await until(async () => rows(await world.json('delivery', 'list', '--endpoint', other.id)).find((one) => one.status === 400), 'failed try');
  assert.equal(delivery.state, 'pending');
  for (const { id } of [made, other]) await world.json('webhook', 'delete', id);
});

shows('webhooks: a receiver that was away is told later, under the same id and signed afresh, also after kill -9', async () => {
  const port = await freePort();
  const made = await world.json('webhook', 'create', '--org', org, '--url', `http://127.0.0.1:${port}/hooks`, '--subscribe', 'user.created');
  const { id } = await person('eve');
  await until(async () => rows(await world.json('delivery', 'list', '--endpoint', made.id)).find((one) => one.tries === 1), 'first try');
  await world.halt('SIGKILL');
  const late = await startReceiver({ port });
  servers.push(late);
  late.secrets = [made.secret];
  await world.serve();
  const heard = await until(() => late.heard.find((one) => one.json.data.subjectId === id), 'second try');
  assert.deepEqual([heard.svix, heard.standard], ['ok', 'ok']);
  assert.equal(heard.id, heard.json.data.eventId);
  const sent = await until(async () => rows(await world.json('delivery', 'list', '--endpoint', made.id)).find((one) => one.state === 'acknowledged'), 'receipt');
  assert.ok(sent.tries >= 2);
  await world.json('webhook', 'delete', made.id);
});

const clerk = (type, id, email, at, data = {}) => ({
  object: 'event', type, timestamp: at,
  data: {
    id, object: 'user', first_name: 'Ada', last_name: 'Lovelace', image_url: 'https://img.example.test/a.png', banned: false,
    primary_email_address_id: 'idn_1', updated_at: at, created_at: at,
    email_addresses: [{ id: 'idn_1', email_address: email, verification: { status: 'verified', strategy: 'email_code' } }],
    ...data,
  },
});

async function tells(library) {
  const { id: tenant } = await world.json('org', 'create', '--name', `Inbound ${library}`);
  const made = await world.json('inbound', 'create', '--org', tenant, '--name', 'Clerk');
  assert.match(made.secret, /^whsec_/);
  const { url, secret } = made;
  const now = Date.now();
  const created = clerk('user.created', 'user_1', 'ada@clerk.test', now);
  const first = await send(url, library, secret, created);
  assert.deepEqual([first.status, first.json.outcome], [200, 'applied']);
  const again = await send(url, library, secret, created, { id: first.id });
  assert.deepEqual([again.status, again.json.outcome], [200, 'duplicate']);
  const people = async () => rows(await world.json('user', 'list', '--org', tenant));
  assert.deepEqual((await people()).map(({ email, name, status }) => [email, name, status]), [['ada@clerk.test', 'Ada Lovelace', 'active']]);
  for (const change of [
    (message) => { message.body = message.body.replace('Ada', 'Eve'); },
    (message, prefix) => { message.headers[`${prefix}-id`] = 'msg_another'; },
    (message, prefix) => { message.headers[`${prefix}-timestamp`] = String(Math.floor(now / 1000) - 301); },
    (message, prefix) => { delete message.headers[`${prefix}-signature`]; },
    (message, prefix) => { message.headers[`${prefix}-signature`] = 'v1,'; },
  ]) {
    const refused = await send(url, library, secret, clerk('user.updated', 'user_1', 'x@clerk.test', now + 5), { change });
    assert.deepEqual([refused.status, refused.json.code], [401, 'webhook_signature'], String(change));
  }
  for (const minutes of [-6, 6]) {
    const at = new Date(now + minutes * 60_000);
    assert.equal((await send(url, library, secret, created, { at })).status, 401, `${minutes} minutes`);
  }
  assert.equal((await send(url, library, ownSecret(), created)).status, 401);
  // Killed in between, it still knows what has come.
  await world.halt('SIGKILL');
  await world.serve();
  assert.equal((await send(url, library, secret, created, { id: first.id })).json.outcome, 'duplicate');
  // An older state changes nothing; a newer one does; the end is the end.
  assert.equal((await send(url, library, secret, clerk('user.updated', 'user_1', 'new@clerk.test', now + 2_000))).json.outcome, 'applied');
  assert.equal((await send(url, library, secret, clerk('user.updated', 'user_1', 'old@clerk.test', now + 1_000))).json.reason, 'stale');
  assert.equal((await people())[0].email, 'new@clerk.test');
  const gone = { object: 'event', type: 'user.deleted', data: { id: 'user_1', object: 'user', deleted: true } };
  assert.equal((await send(url, library, secret, gone)).json.outcome, 'applied');
  assert.equal((await send(url, library, secret, clerk('user.updated', 'user_1', 'new@clerk.test', now + 9_000))).json.reason, 'deleted');
  assert.equal((await people())[0].status, 'deprovisioned');
  // The service's own secret takes the place of the one that was made here.
  const theirs = ownSecret();
  await world.json('inbound', 'rotate-secret', made.id, '--secret', theirs, '--now');
  assert.equal((await send(url, library, secret, gone)).status, 401);
  assert.equal((await send(url, library, theirs, gone)).status, 200);
  const log = JSON.stringify(world.log) + JSON.stringify(await world.json('audit', 'list', '--limit', '1000'));
  for (const hidden of [secret, theirs]) assert.ok(!log.includes(hidden.slice(6)), 'no secret in any log');
}

shows('inbound webhooks: npm svix tells of people; each message counts once', () => tells('svix'));
shows('inbound webhooks: npm standardwebhooks tells of people; each message counts once', () => tells('standard'));

shows('audit: a person is erased from the log, which still verifies and says how many rows that were', async () => {
  const { id } = await person('frida');
  await world.json('user', 'update', id, '--name', 'Frida the First');
  assert.equal((await world.json('audit', 'verify')).erased, 0);
  await world.json('user', 'erase', id);
  await until(async () => rows(await world.json('audit', 'list', '--kind', 'user.erasure_completed')).length, 'end of the erasure');
  const verified = await world.json('audit', 'verify');
  assert.ok(verified.ok && verified.erased >= 2, JSON.stringify(verified));
  const { stdout } = await world.run('audit', 'export');
  assert.ok(!stdout.includes('frida@a.test') && !stdout.includes('Frida the First'));
  const lines = stdout.trim().split('\n').map((line) => JSON.parse(line));
  assert.ok(lines.some((event) => event.subjectId === id && event.erased === true));
});
