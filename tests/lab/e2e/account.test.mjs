// The person's own page in a real browser, and what signing out there does in the apps.
import assert from 'node:assert/strict';
import http from 'node:http';
import path from 'node:path';
import { after, before } from 'node:test';
import { PHONE, closeBrowser, noBrowser, openTab } from '../browser.mjs';
import { listen } from '../web.mjs';
import { OUT, World, rows, shows } from '../world.mjs';

const real = { skip: noBrowser };
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

/** The page of an app that authd opens in a frame: it keeps what it was asked with, and whether a script of its own ran. */
async function logoutPage() {
  const asked = [];
  const server = http.createServer((req, res) => {
    const url = new URL(req.url, 'http://127.0.0.1');
    if (url.pathname === '/out') asked.push({ query: Object.fromEntries(url.searchParams), dest: req.headers['sec-fetch-dest'] });
    res.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><title>out</title>bye');
  });
  const port = await listen(server, 0);
  const close = () => new Promise((done) => { server.close(done); server.closeAllConnections(); });
  return { uri: `http://127.0.0.1:${port}/out?k=v`, origin: `http://127.0.0.1:${port}`, asked, close };
}

shows('front-channel logout: the app’s page is opened in a frame with issuer and session', real, async () => {
  const theirs = await logoutPage();
  const idle = await logoutPage();
  const app = await world.app({ org: cast.org, name: 'Notes', more: ['--frontchannel-logout-uri', theirs.uri] });
  await world.app({ org: cast.org, name: 'Idle', more: ['--frontchannel-logout-uri', idle.uri] });
  const tab = await openTab({ out: path.join(OUT, 'account'), name: 'frames' });
  try {
    const result = await tab.signIn(app.origin, { email: 'ada@a.test' });
    assert.ok(result.ok, JSON.stringify(result));
    await tab.page.goto(`${world.url}/signin`);
    await tab.page.getByRole('button', { name: 'Sign out', exact: true }).click();
    await tab.page.waitForLoadState('networkidle');
    await tab.shot('signed-out');
    assert.equal(theirs.asked.length, 1, JSON.stringify(theirs.asked));
    const [{ query, dest }] = theirs.asked;
    assert.deepEqual([query.iss, query.k, dest], [world.url, 'v', 'iframe']);
    assert.equal(query.sid, result.claims.sid);
    const frame = tab.page.frames().find((each) => each.url().startsWith(theirs.origin));
    assert.ok(frame, 'the frame is there');
    assert.equal(await frame.title(), 'out', 'and loaded');
    assert.deepEqual(idle.asked, [], 'an app that holds nothing of the session is not opened');
    assert.deepEqual(tab.problems, []);
  } finally {
    await tab.close();
    await theirs.close();
    await idle.close();
  }
});

for (const [name, options] of [['light', { colorScheme: 'light' }], ['dark', { colorScheme: 'dark' }], ['phone', PHONE]]) {
  shows(`a person withdraws on their own page what they agreed to (${name})`, real, async () => {
    const app = await world.app({ org: cast.org, name: `Third ${name}`, more: ['--third-party'] });
    const tab = await openTab({ out: path.join(OUT, 'account'), name, ...options });
    const result = await tab.signIn(app.origin, { email: 'ada@a.test' });
    assert.ok(result.ok, JSON.stringify(result));

    await tab.page.goto(`${world.url}/signin`);
    const part = tab.page.getByRole('region', { name: 'What you have agreed to' });
    await part.waitFor();
    assert.match(await part.textContent(), new RegExp(`Third ${name}`));
    await tab.shot('agreed');
    assert.deepEqual(await tab.accessibility(), []);
    assert.equal(await tab.overflows(), false);
    await tab.send(part.getByRole('listitem').filter({ hasText: `Third ${name}` }).getByRole('button', { name: /Withdraw/ }));
    await tab.page.goto(`${world.url}/signin`);
    assert.equal(await part.filter({ hasText: `Third ${name}` }).count(), 0, 'it is no longer agreed to');
    const left = rows(await world.json('consent', 'list', '--org', cast.org, '--app', app.clientId));
    assert.deepEqual(left, []);
    const info = await fetch(`${world.url}/userinfo`, { headers: { authorization: `Bearer ${result.tokens.access_token}` } });
    assert.equal(info.status, 401, 'what the app was given has ended');
    assert.deepEqual(tab.problems, []);
    await tab.close();
  });
}
