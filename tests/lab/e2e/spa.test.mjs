// A page on another origin, in a browser: code with PKCE, refresh and user info by `fetch`. What is not meant for such pages
// stays closed to them, whatever they try (ADM-05).
import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before } from 'node:test';
import { closeBrowser, noBrowser, openTab } from '../browser.mjs';
import { startSpa } from '../spa.mjs';
import { OUT, World, shows } from '../world.mjs';

const browser = { skip: noBrowser };
const out = path.join(OUT, 'spa');
let world;
let cast;
let spa;
let stranger;
before(async () => {
  if (noBrowser) return;
  world = await World.start();
  cast = await world.cast({ domain: 'a.test', name: 'Aperture' });
  [spa, stranger] = [await startSpa(), await startSpa()];
  world.apps.push(spa, stranger);
  const made = await world.json('app', 'create', '--org', cast.org, '--name', 'Page', '--kind', 'spa', '--redirect-uri', spa.redirectUri);
  assert.equal(made.clientSecret, undefined, 'a page keeps no secret');
  for (const page of [spa, stranger]) page.configure({ issuer: world.url, clientId: made.clientId });
  await world.json('issuer', 'create', '--org', cast.org, '--kind', 'oidc', '--domain', world.url, '--application-id', made.clientId);
});
after(async () => {
  await closeBrowser();
  await world?.stop();
});

/** Signs in by the page, and answers what it shows. */
async function signedIn(name) {
  const tab = await openTab({ out, name });
  await tab.page.goto(spa.origin);
  await tab.press(tab.page.locator('#begin'));
  await tab.page.waitForLoadState();
  if (!tab.page.url().startsWith(spa.origin)) {
    // the rest of the way is the one of every app
    const result = tab.signIn(tab.page.url(), { email: 'ada@a.test' }).catch((error) => error);
    await tab.page.waitForURL((url) => url.href.startsWith(spa.redirectUri), { timeout: 30_000 });
    await result;
  }
  await tab.page.waitForFunction(() => document.querySelector('#result').textContent !== '');
  await tab.shot('signed-in');
  return { tab, result: JSON.parse(await tab.page.locator('#result').textContent()) };
}

shows('a page on another origin signs in, refreshes and reads user info in a browser', browser, async () => {
  const { tab, result } = await signedIn('page');
  assert.equal(result.ok, true, JSON.stringify(result));
  assert.ok(result.tokens.id_token && result.tokens.refresh_token && result.fresh.access_token);
  assert.notEqual(result.fresh.refresh_token, result.tokens.refresh_token);
  assert.equal(result.userinfo.email, 'ada@a.test');
  assert.ok(result.keys.keys.length >= 1);
  assert.equal(result.who.tokenIdentifier, `${world.url}|${result.userinfo.sub}`);
  assert.equal(await tab.page.evaluate((token) => window.revoke(token), result.fresh.refresh_token), 200);
  const after = await tab.page.evaluate(([url, token]) => window.attempt(url, { headers: { authorization: `Bearer ${token}` } }), [`${world.url}/userinfo`, result.fresh.access_token]);
  assert.equal(after, 401, 'the page may read that it is over');
  await tab.close();
});

shows('what is not for pages of other origins stays closed in a browser (ADM-05)', browser, async () => {
  const { tab, result } = await signedIn('closed');
  const bearer = { authorization: `Bearer ${result.fresh.access_token}` };
  const key = await world.json('api-key', 'create', '--org', cast.org, '--name', 'page', '--grant', 'user.read');
  const attempt = (at, options) => tab.page.evaluate(([url, given]) => window.attempt(url, given), [`${world.url}${at}`, options]);
  for (const [at, options] of [
    ['/v1/users', { headers: { authorization: `Bearer ${key.key}` } }],
    ['/v1/users', {}],
    ['/v1/users', { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}' }],
    ['/v1/users', { method: 'POST', body: 'x' }],
    ['/v1/apps', { credentials: 'include' }],
    ['/oauth2/introspect', { method: 'POST', body: 'token=x' }],
    ['/oauth2/authorize', { credentials: 'include' }],
    ['/signin', { credentials: 'include' }],
    ['/openapi.json', {}],
    ['/healthz', {}],
    ['/', {}],
    // what is open to pages is so without cookies
    ['/userinfo', { headers: bearer, credentials: 'include' }],
    ['/oauth2/token', { method: 'POST', body: 'grant_type=x', credentials: 'include' }],
    // with headers and methods that nobody was promised
    ['/userinfo', { headers: { ...bearer, 'x-own': '1' } }],
    ['/userinfo', { method: 'DELETE', headers: bearer }],
  ]) {
    assert.equal(await attempt(at, options), 'blocked', `${at} ${JSON.stringify(options)}`);
  }
  assert.equal(await attempt('/userinfo', { headers: bearer }), 200);

  // another page of the same machine is another origin
  await tab.page.goto(stranger.origin);
  for (const [at, options] of [
    ['/userinfo', { headers: bearer }],
    ['/v1/identity', { headers: bearer }],
    ['/oauth2/token', { method: 'POST', body: new URLSearchParams({ grant_type: 'refresh_token', refresh_token: result.fresh.refresh_token }).toString(),
      headers: { 'content-type': 'application/x-www-form-urlencoded' } }],
    ['/oauth2/revoke', { method: 'POST', body: 'token=x' }],
  ]) {
    assert.equal(await attempt(at, options), 'blocked', `${at} for a stranger`);
  }
  assert.equal(await attempt('/.well-known/openid-configuration', {}), 200, 'what is public is public');
  assert.equal(await attempt('/.well-known/jwks.json', {}), 200);
  await tab.close();
});
