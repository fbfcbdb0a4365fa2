// Sign-in through SAML in a browser: npm samlp and PyPI pysaml2 as identity providers, the whole way from an app and back,
// over a site that is not ours; the app verifies its token at the end.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { after, before } from 'node:test';
import { closeBrowser, noBrowser, openTab } from '../browser.mjs';
import { PEOPLE, keyPair, noPysaml2, startPysaml2, startSamlp } from '../saml.mjs';
import { freePort } from '../web.mjs';
import { OUT, World, rows, shows } from '../world.mjs';

const browser = { skip: noBrowser };
const both = { skip: noBrowser || noPysaml2 };
const out = path.join(OUT, 'saml');
const SIGNED = ['response', 'assertion', 'both'];

let world;
let org;
let app;
/** The identity providers by name, each with its connection. */
const lab = {};

/** A connection to a provider, with its domain vouched for, and what the provider has to know of it. */
async function connect(idp, more = ['--metadata-url', idp.metadataUrl]) {
  const { domain } = idp;
  const { id, saml } = await world.json('connection', 'create', '--org', org, '--protocol', 'saml', '--name', domain, '--domain', domain,
    ...more, '--activate');
  await world.json('domain', 'verify', '--connection', id, '--domain', domain, '--force');
  const { entityId, acsUrl, sloUrl, certificate } = saml.serviceProvider;
  idp.sp = { entityId, acsUrl, sloUrl, certificate };
  return Object.assign(idp, { connection: id });
}

const metadataOf = async (connection) => (await fetch(`${world.url}/connections/${connection}/saml/metadata`)).text();

/** pysaml2 has to know the service first: its facts are typed in, and its metadata is read afterwards. */
async function connectPysaml2({ port, domain, wantSigned = false }) {
  const stand = path.join(world.root, `stand-${port}.crt`);
  fs.writeFileSync(stand, lab.samlp.cert);
  const idp = await connect({ domain }, ['--idp-entity-id', `http://localhost:${port}/metadata`, '--idp-sso-url', `http://localhost:${port}/sso`,
    '--idp-certificate-file', stand]);
  Object.assign(idp, await startPysaml2({ domain, port, sp: await metadataOf(idp.connection), wantSigned }));
  world.providers.push(idp);
  await world.json('connection', 'set-saml', idp.connection, '--metadata-url', idp.metadataUrl);
  return idp;
}

before(async () => {
  if (noBrowser) return;
  world = await World.start({ provider: false, serve: false });
  lab.samlp = await startSamlp({ domain: 'samlp.test' });
  lab.strict = await startSamlp({ domain: 'strict.test', wantSigned: true });
  lab.posts = await startSamlp({ domain: 'posts.test', wantSigned: true, bindings: ['post'] });
  lab.forms = await startSamlp({ domain: 'forms.test', bindings: ['post'] });
  const ports = [await freePort(), await freePort()];
  world.providers.push(lab.samlp, lab.strict, lab.posts, lab.forms);
  // the app is told of sessions that end, so authd has to be allowed to call it
  const server = await world.appServer();
  for (const port of [...ports, server.port]) world.args.push('--outbound-allow', `127.0.0.1:${port}`);
  await world.serve();
  org = await world.organization('Example');
  for (const idp of [lab.samlp, lab.strict, lab.posts, lab.forms]) await connect(idp);
  if (!noPysaml2) {
    lab.pysaml2 = await connectPysaml2({ port: ports[0], domain: 'pysaml2.test' });
    lab.pysaml2strict = await connectPysaml2({ port: ports[1], domain: 'pysaml2strict.test', wantSigned: true });
  }
  app = await world.app({ org, name: 'Wiki', server, more: ['--backchannel-logout-uri', server.toldUri] });
  await world.json('app', 'update', app.clientId, '--post-logout-redirect-uri', app.byeUri);
  app.scope += ' groups';
});
after(async () => {
  await closeBrowser();
  await world?.stop();
});

/** Ends at the app's result, or at a page that refuses. */
async function arrive(tab, start) {
  await tab.page.goto(start);
  await tab.page.locator('pre#result, [data-request-id], main').first().waitFor();
  await tab.page.waitForURL((url) => url.href.startsWith(app.redirectUri) || url.href.includes('/saml/acs') || url.href.includes('/signin/continue') || url.pathname.endsWith('/sso'));
  await tab.page.waitForLoadState();
}

/** A sign-in in a fresh browser: the app's result. */
async function signIn(idp, { name = 'tab', parameters = {} } = {}) {
  const tab = await openTab({ out, name });
  try {
    await arrive(tab, app.loginUrl({ connection: idp.connection, ...parameters }));
    await tab.shot('end');
    const shown = tab.page.locator('pre#result');
    assert.ok(await shown.count(), `not at the app, but at ${tab.page.url()}: ${await tab.page.locator('body').innerText()}`);
    const result = JSON.parse(await shown.textContent());
    assert.ok(result.ok, JSON.stringify(result));
    assert.deepEqual(tab.problems, []);
    return result;
  } finally {
    await tab.close();
  }
}

/** When somebody was refused lately: above ten a minute from one address authd counts refusals, and keeps no trace of each. */
let lately = [];
async function calm() {
  lately = lately.filter((at) => Date.now() - at < 61_000);
  if (lately.length >= 8) await sleep(lately[0] + 61_000 - Date.now());
  lately.push(Date.now());
}

/** A sign-in that is refused: what the operator is told of it. */
async function refused(idp, start = app.loginUrl({ connection: idp.connection })) {
  await calm();
  const tab = await openTab({ out, name: 'refused' });
  tab.expected = /status of 4\d\d/;
  try {
    await arrive(tab, start);
    const text = await tab.page.locator('body').innerText();
    const id = /\breq_[0-9a-z]{26}\b/.exec(text)?.[0];
    assert.ok(id, `no refusal at ${tab.page.url()}: ${text}`);
    assert.deepEqual(await tab.accessibility(), []);
    assert.deepEqual(tab.problems, []);
    return await world.json('explain', id);
  } finally {
    await tab.close();
  }
}

function isPerson({ claims }, who, { domain }) {
  const { first, last, groups } = PEOPLE[who];
  assert.equal(claims.email, `${who}@${domain}`);
  assert.equal(claims.email_verified, true, 'the connection owns the domain');
  assert.equal(claims.given_name, first);
  assert.equal(claims.family_name, last);
  if (groups.length) assert.deepEqual(claims.groups, groups);
}

shows('SAML: an e-mail address leads from the app to samlp and back, and the second time nothing is asked', browser, async () => {
  await lab.samlp.set({});
  const tab = await openTab({ out, name: 'whole' });
  await tab.page.goto(app.origin);
  await tab.press(tab.page.locator('a#login'));
  await tab.page.locator('input[type=email]').fill('ada@samlp.test');
  await tab.page.locator('form button').first().click();
  await tab.page.locator('pre#result').waitFor();
  const result = JSON.parse(await tab.page.locator('pre#result').textContent());
  isPerson(result, 'ada', lab.samlp);
  assert.equal(result.claims.org_id, org);
  const visits = lab.samlp.asked.length;
  await tab.page.goto(app.loginUrl());
  await tab.page.locator('pre#result').waitFor();
  const again = JSON.parse(await tab.page.locator('pre#result').textContent());
  assert.equal(again.claims.sub, result.claims.sub);
  assert.equal(lab.samlp.asked.length, visits);
  assert.deepEqual(tab.problems, []);
  await tab.close();
});

for (const [name, options] of [['samlp', browser], ['pysaml2', both]]) {
  shows(`SAML: ${name} signs the response, the assertion, or both; plain and encrypted`, { ...options, timeout: 240_000 }, async () => {
    const subjects = new Set();
    for (const sign of SIGNED) {
      for (const enc of [undefined, 'aes256-gcm', 'aes128-gcm']) {
        await lab[name].set({ sign, ...(enc ? { enc } : {}) });
        const result = await signIn(lab[name], { name: `${name}-${sign}-${enc ?? 'plain'}` });
        isPerson(result, 'ada', lab[name]);
        subjects.add(result.claims.sub);
      }
    }
    assert.equal(subjects.size, 1, 'one person, however it is signed');
    await lab[name].set({ user: 'bob' });
    const bob = await signIn(lab[name], { name: `${name}-bob` });
    isPerson(bob, 'bob', lab[name]);
    assert.ok(!subjects.has(bob.claims.sub));
  });

  shows(`SAML: ${name} may encrypt by AES-CBC only where a signature of the response covers it`, options, async () => {
    for (const enc of ['aes128-cbc', 'aes256-cbc']) {
      await lab[name].set({ sign: 'both', enc });
      isPerson(await signIn(lab[name]), 'ada', lab[name]);
      await lab[name].set({ sign: 'assertion', enc });
      const told = await refused(lab[name]);
      assert.equal(told.errorCode, 'saml_decrypt');
    }
  });

  shows(`SAML: ${name} is refused with SHA-1 and without a signature, and the operator learns the reason`, options, async () => {
    await lab[name].set({ alg: 'sha1' });
    const weak = await refused(lab[name]);
    assert.equal(weak.errorCode, 'saml_algorithm');
    assert.match(JSON.stringify(weak.checks.at(-1)), /rsa-sha1/);
    await lab[name].set({ sign: 'none' });
    const bare = await refused(lab[name]);
    assert.equal(bare.errorCode, 'saml_signature_missing');
    await lab[name].set({ format: 'transient' });
    const passing = await refused(lab[name]);
    assert.equal(passing.errorCode, 'saml_nameid');
  });

  shows(`SAML: a sign-in begins at ${name} once the connection allows that, and at no other`, options, async () => {
    const idp = lab[name];
    await idp.set({});
    const begin = `${idp.origin}/begin?${new URLSearchParams({ acs: idp.sp.acsUrl, aud: idp.sp.entityId })}`;
    const told = await refused(idp, begin);
    assert.equal(told.errorCode, 'saml_unsolicited');
    await world.json('connection', 'set-saml', idp.connection, '--set', 'security.allowIdpInitiated=true');
    const tab = await openTab({ out, name: `${name}-unasked` });
    await tab.page.goto(begin);
    await tab.page.waitForURL(`${world.url}/signin**`);
    assert.match(await tab.page.locator('body').innerText(), new RegExp(`ada@${name}\\.test`));
    await tab.shot('landed');
    // the session is there for apps, too
    await tab.page.goto(app.loginUrl({ connection: idp.connection }));
    await tab.page.locator('pre#result').waitFor();
    isPerson(JSON.parse(await tab.page.locator('pre#result').textContent()), 'ada', idp);
    assert.deepEqual(tab.problems, []);
    await tab.close();
    await world.json('connection', 'set-saml', idp.connection, '--set', 'security.allowIdpInitiated=false');
  });

  for (const by of ['redirect', 'post']) {
    shows(`SAML: a logout at ${name} by ${by} ends the session here, and is answered with a signature`, options, async () => {
      const idp = lab[name];
      await idp.set({ logout: by, ...(name === 'samlp' ? { index: `s-${by}` } : {}) });
      const tab = await openTab({ out, name: `${name}-logout-${by}` });
      await arrive(tab, app.loginUrl({ connection: idp.connection }));
      assert.ok(JSON.parse(await tab.page.locator('pre#result').textContent()).ok);
      const sessions = async () => (await world.json('session', 'list', '--org', org)).items.length;
      const before = await sessions();
      await tab.page.goto(`${idp.origin}/logout?${new URLSearchParams({ slo: idp.sp.sloUrl, by })}`);
      if (name === 'samlp') {
        await tab.page.locator('p#done, p#error').waitFor();
        assert.equal(await tab.page.locator('p#error').count(), 0, await tab.page.locator('body').innerText());
        assert.equal(idp.loggedOut.signed, true);
      } else {
        await tab.page.locator('pre#slo').waitFor();
        const said = JSON.parse(await tab.page.locator('pre#slo').textContent());
        assert.deepEqual(said, { status: 'urn:oasis:names:tc:SAML:2.0:status:Success', issuer: idp.sp.entityId });
      }
      assert.ok(await sessions() < before, 'the session is over');
      assert.deepEqual(tab.problems, []);
      await tab.close();
    });
  }
}

/** Waits until there is something. */
async function until(look, what) {
  for (let left = 100; left > 0; left -= 1) {
    const found = await look();
    if (found) return found;
    await sleep(50);
  }
  return assert.fail(`never: ${what}`);
}

/** A person who is signed in to the app through a provider: the tab, and the app's result. */
async function inside(idp, name) {
  const tab = await openTab({ out, name });
  await arrive(tab, app.loginUrl({ connection: idp.connection }));
  const result = JSON.parse(await tab.page.locator('pre#result').textContent());
  assert.ok(result.ok, JSON.stringify(result));
  return { tab, result };
}

/** That nothing is left of a sign-in: no session, no token that works, nobody known to the browser; and the app was told. */
async function isOver(idp, { tab, result }) {
  const { sid, sub } = result.claims;
  const sessions = rows(await world.json('session', 'list', '--org', org));
  assert.ok(!sessions.some((session) => session.id === sid), 'the session is not listed');
  assert.equal((await app.wire.userinfo(result.tokens.access_token)).status, 401);
  const told = await until(() => app.told.find((claims) => claims.sid === sid || claims.refused), 'the app is told');
  assert.equal(told.refused, undefined);
  assert.deepEqual([told.sid, told.sub], [sid, sub]);
  tab.expected = /status of 400/;
  await tab.page.goto(app.loginUrl({ connection: idp.connection, prompt: 'none' }));
  assert.equal(JSON.parse(await tab.page.locator('pre#result').textContent()).error, 'login_required');
}

const answers = async () => rows(await world.json('audit', 'list', '--kind', 'connection.logout.answered'));

// A provider that wants requests signed checks the signature of an order, too.
for (const [name, options] of [['strict', browser], ['pysaml2strict', both]]) {
  for (const by of ['redirect', 'post']) {
    for (const from of ['the app', 'the person’s own page']) {
      shows(`SAML: signing out at ${from} ends the session here and at ${name}, by ${by}, and the app is told`, options, async () => {
        const idp = lab[name];
        await idp.set({ slo: by, logout: by, index: `s-${by}-${from.length}` });
        await world.json('connection', 'refresh-saml', idp.connection);
        const before = (await answers()).length;
        const { tab, result } = await inside(idp, `${name}-out-${by}`);
        if (from === 'the app') {
          await tab.page.goto(`${app.origin}/logout`);
          await tab.page.locator('p#bye').waitFor();
          const back = new URL(tab.page.url());
          assert.equal(`${back.origin}${back.pathname}?${back.searchParams}`, `${app.byeUri}?state=leaving`);
        } else {
          await tab.page.goto(`${world.url}/signin`);
          await tab.page.getByRole('button', { name: 'Sign out', exact: true }).click();
          await tab.page.waitForURL(`${world.url}/connections/${idp.connection}/saml/slo**`);
          await tab.page.getByText(/signed out/i).first().waitFor();
          assert.deepEqual(await tab.accessibility(), []);
        }
        await tab.shot('out');
        const ended = await idp.lastEnded();
        assert.deepEqual([ended.name, ended.by], [`ada@${idp.domain}`, by === 'redirect' ? 'GET' : 'POST']);
        assert.ok(ended.index, 'the order names the session that the provider gave');
        const told = await answers();
        assert.equal(told.length, before + 1);
        assert.equal(told[0].outcome, 'success');
        assert.deepEqual(tab.problems, []);
        await isOver(idp, { tab, result });
        await tab.close();
      });
    }
  }
}

shows('SAML: an order that somebody else has signed ends nothing at the provider, and the session here is over nevertheless', browser, async () => {
  const idp = lab.strict;
  await idp.set({ slo: 'redirect', logout: 'redirect', index: 's-strange' });
  await world.json('connection', 'refresh-saml', idp.connection);
  const { tab, result } = await inside(idp, 'strange-order');
  tab.expected = /status of 400/;
  idp.participants[0].cert = idp.cert;
  idp.ended = undefined;
  await tab.page.goto(`${app.origin}/logout`);
  await tab.page.locator('p#error').waitFor();
  assert.match(await tab.page.locator('p#error').innerText(), /signature|digest/i);
  assert.equal(idp.ended, undefined);
  await isOver(idp, { tab, result });
  await tab.close();
});

shows('SAML: an answer to an order is believed only with a signature of the provider', browser, async () => {
  const idp = lab.strict;
  const strange = keyPair(world.root, 'strange');
  for (const by of ['redirect', 'post']) {
    await calm();
    await idp.set({ slo: by, logout: by, index: `s-forged-${by}`, forges: strange });
    await world.json('connection', 'refresh-saml', idp.connection);
    const before = (await answers()).length;
    const { tab, result } = await inside(idp, `forged-answer-${by}`);
    tab.expected = /status of 4\d\d/;
    await tab.page.goto(`${app.origin}/logout`);
    await tab.page.getByText(/saml_signature_invalid/).first().waitFor();
    assert.match(await tab.page.locator('body').innerText(), /saml_signature_invalid/);
    assert.equal((await answers()).length, before);
    await isOver(idp, { tab, result });
    await tab.close();
  }
  await idp.set({});
  await world.json('connection', 'refresh-saml', idp.connection);
});

shows('SAML: requests go out signed, by redirect and by a form, and the provider checks them', browser, async () => {
  for (const [name, method] of [['strict', 'GET'], ['posts', 'POST']]) {
    const idp = lab[name];
    const result = await signIn(idp, { name: `signed-${method}` });
    isPerson(result, 'ada', idp);
    assert.deepEqual(idp.asked.at(-1), { method, signed: true });
    // that it does check them: another certificate than the connection's
    const { certificate } = idp.sp;
    idp.sp.certificate = idp.cert;
    const tab = await openTab({ out, name: 'other-key' });
    tab.expected = /status of 400/;
    await tab.page.goto(app.loginUrl({ connection: idp.connection }));
    await tab.page.locator('p#error').waitFor();
    assert.match(await tab.page.locator('p#error').innerText(), /signature|digest/i);
    await tab.close();
    idp.sp.certificate = certificate;
  }
});

shows('SAML: a provider that takes the form and sends on to another host is followed', browser, async () => {
  await lab.forms.set({ moves: true });
  isPerson(await signIn(lab.forms, { name: 'moves' }), 'ada', lab.forms);
  assert.ok(lab.forms.asked.some((asked) => asked.moved));
});

shows('SAML: pysaml2 takes only the requests that the connection has signed', both, async () => {
  await lab.pysaml2strict.set({});
  isPerson(await signIn(lab.pysaml2strict), 'ada', lab.pysaml2strict);
  await world.json('connection', 'set-saml', lab.pysaml2strict.connection, '--set', 'request.signAuthnRequests=false');
  const tab = await openTab({ out, name: 'unsigned' });
  tab.expected = /status of 500/;
  await tab.page.goto(app.loginUrl({ connection: lab.pysaml2strict.connection }));
  assert.match(await tab.page.locator('body').innerText(), /server error/i);
  await tab.close();
  await world.json('connection', 'set-saml', lab.pysaml2strict.connection, '--set', 'request.signAuthnRequests=true');
});

shows('SAML: nothing of an assertion is in the log', browser, async () => {
  const log = world.log.join('\n');
  for (const text of ['SAMLResponse=', '<saml', 'Lovelace', 'engineers', '@samlp.test', '@pysaml2.test']) assert.ok(!log.includes(text), text);
});
