// The main job, seen by a browser. Pictures of every step are left in target/lab/browser.
import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before } from 'node:test';
import { createRemoteJWKSet, jwtVerify } from 'jose';
import { PHONE, closeBrowser, noBrowser, openTab } from '../browser.mjs';
import { OUT, World, shows } from '../world.mjs';

const browser = { skip: noBrowser };
const out = path.join(OUT, 'browser');
let world;
let cast;
before(async () => {
  if (noBrowser) return;
  world = await World.start();
  cast = await world.cast({ domain: 'a.test', name: 'Aperture' });
});
after(async () => {
  await closeBrowser();
  await world?.stop();
});

/** Signs in and holds authd's own pages against the rules that every page keeps. */
async function walk(name, { email, phone = false, ...options }) {
  const tab = await openTab({ out, name, ...options });
  const kinds = [];
  const result = await tab.signIn(cast.app.origin, {
    email,
    onPage: async (kind) => {
      kinds.push(kind);
      if (kind !== 'email') return;
      assert.equal(new URL(tab.page.url()).origin, world.url);
      if (options.javaScriptEnabled !== false) assert.deepEqual(await tab.accessibility(), []);
      assert.equal(await tab.overflows(), false, 'the page has to be scrolled sideways');
      if (phone) {
        const button = await tab.page.locator('form:has(input[type=email]) button').first().boundingBox();
        assert.ok(button.height >= 40, `the button is ${button.height} px high: too small for a thumb`);
        // below 16 px a phone zooms into the field
        assert.ok(await tab.page.locator('input[type=email]').evaluate((e) => parseFloat(getComputedStyle(e).fontSize)) >= 16);
      }
    },
  });
  assert.deepEqual(kinds, ['app', 'email', 'login', 'consent', 'result']);
  assert.ok(result.ok, JSON.stringify(result));
  assert.deepEqual(tab.problems, []);
  return { tab, result };
}

shows('a browser walks app → authd → provider → authd → app, and the token verifies over the remote JWKS', browser, async () => {
  const { tab, result } = await walk('light', { email: 'ada@a.test', colorScheme: 'light' });
  assert.equal(result.claims.email, 'ada@a.test');
  assert.equal(result.claims.org_id, cast.org);
  // once more, from outside of the app: exact issuer, exact audience, only from what discovery says
  const metadata = await (await fetch(`${world.url}/.well-known/openid-configuration`)).json();
  const { payload, protectedHeader } = await jwtVerify(result.tokens.id_token, createRemoteJWKSet(new URL(metadata.jwks_uri)), {
    issuer: world.url, audience: cast.app.clientId, algorithms: ['ES256'],
  });
  assert.equal(payload.aud, cast.app.clientId);
  assert.equal(metadata.issuer, world.url);
  assert.ok(protectedHeader.kid && protectedHeader.typ);

  // the second time nothing is asked, and the provider is not visited
  const visits = world.op.visits();
  await tab.page.goto(cast.app.origin);
  await tab.press(tab.page.locator('a#login'));
  const again = JSON.parse(await tab.page.locator('pre#result').textContent());
  assert.equal(again.claims.sub, result.claims.sub);
  assert.equal(world.op.visits(), visits);
  assert.deepEqual(tab.problems, []);
  await tab.close();
});

shows('a browser in dark mode walks the same way', browser, async () => {
  const { tab } = await walk('dark', { email: 'bea@a.test', colorScheme: 'dark' });
  await tab.close();
});

shows('a phone walks the same way', browser, async () => {
  const { tab } = await walk('phone', { email: 'cy@a.test', phone: true, ...PHONE });
  await tab.close();
});

shows('a browser without JavaScript walks the same way', browser, async () => {
  const { tab } = await walk('noscript', { email: 'dan@a.test', javaScriptEnabled: false });
  await tab.close();
});

for (const [name, options] of [['light', { colorScheme: 'light' }], ['dark', { colorScheme: 'dark' }], ['phone', PHONE]]) {
  shows(`a page that refuses is readable, accessible and has a request id (${name})`, browser, async () => {
    const tab = await openTab({ out, name: `refused-${name}`, ...options });
    tab.expected = /Failed to load resource: the server responded with a status of 4\d\d/;
    await tab.page.goto(cast.app.loginUrl());
    await tab.page.locator('input[type=email]').fill('eve@unknown.test');
    await tab.send(tab.page.locator('form:has(input[type=email]) button').first());
    await tab.shot('unknown-domain');
    const unknown = await tab.page.locator('body').innerText();
    assert.match(unknown, /unknown\.test/);
    assert.deepEqual(await tab.accessibility(), []);
    assert.equal(await tab.overflows(), false);

    await tab.page.goto(cast.app.loginUrl({ redirect_uri: 'https://evil.test/cb' }));
    await tab.shot('redirect-uri');
    const refused = await tab.page.locator('body').innerText();
    assert.match(refused, /redirect_uri_mismatch/);
    assert.match(refused, /req_[0-9a-z]{26}/);
    assert.deepEqual(await tab.accessibility(), []);
    assert.equal(await tab.overflows(), false);
    assert.deepEqual(tab.problems, []);
    await tab.close();
  });
}
