// The lab itself, without authd: what the other tests lean on holds by itself.
import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before } from 'node:test';
import { startApp } from '../app.mjs';
import { closeBrowser, noBrowser, openTab } from '../browser.mjs';
import { AWKWARD_SECRET, secretOf, startProvider } from '../provider.mjs';
import { Jar } from '../walk.mjs';
import { OUT, Person, shows } from '../world.mjs';
import { basic } from '../wire.mjs';

let op;
let app;
before(async () => {
  op = await startProvider();
  app = await startApp();
  op.allow(app.redirectUri);
});
after(async () => {
  await closeBrowser();
  await Promise.all([op.close(), app.close()]);
});

const configure = (clientId, more) => app.configure({ issuer: op.issuer, clientId, clientSecret: secretOf(clientId), ...more });

for (const [client, more, alg] of [
  ['basic', {}, 'RS256'],
  ['post', { auth: 'post' }, 'RS256'],
  ['public', { auth: 'none' }, 'RS256'],
  ['awkward', {}, 'RS256'],
  ['es256', { idTokenAlg: 'ES256' }, 'ES256'],
  ['eddsa', { idTokenAlg: 'EdDSA' }, 'EdDSA'],
]) {
  shows(`lab: the app signs in at the provider itself as client ${client}`, async () => {
    await configure(client, more);
    const person = new Person('ada@a.test');
    const result = await person.into(app, { prompt: 'consent' });
    assert.equal(result.claims.sub, 'sub|ada@a.test');
    assert.equal(result.header.alg, alg);
    assert.deepEqual(result.userinfo.email, 'ada@a.test');
    assert.deepEqual(person.forms, ['login', 'consent']);
  });
}

shows('lab: the provider refuses a redirect URI that was not allowed', async () => {
  await configure('basic');
  const page = await new Person('ada@a.test').signIn(app.loginUrl({ redirect_uri: 'http://127.0.0.1:1/other' }));
  assert.equal(page.status, 400);
  assert.match(page.text, /redirect_uri/);
});

shows('lab: a person who denies comes back to the app with access_denied', async () => {
  await configure('basic');
  const page = await new Person('ada@a.test').signIn(app.loginUrl(), { answer: 'deny' });
  assert.equal(page.result.error, 'access_denied');
});

shows('lab: the cookie jar keeps to path, expiry and the rules of __Host-', () => {
  const jar = new Jar();
  const url = new URL('http://127.0.0.1:8080/a/b');
  jar.take(url, 'one=1; Path=/a; HttpOnly');
  jar.take(url, 'two=2; Path=/other');
  jar.take(url, 'gone=3; Path=/; Max-Age=0');
  assert.equal(jar.header(new URL('http://127.0.0.1:9999/a/x')), 'one=1');
  assert.equal(jar.header(new URL('http://127.0.0.1:8080/ab')), '');
  assert.throws(() => jar.take(url, '__Host-x=1; Path=/'));
  assert.throws(() => jar.take(url, 'x=1; Secure'));
  jar.take(new URL('https://a.test/'), '__Host-x=1; Path=/; Secure; HttpOnly');
  assert.equal(jar.header(new URL('https://a.test/deep/er')), '__Host-x=1');
});

shows('lab: HTTP Basic is form-encoded before it is base64', () => {
  const [id, secret] = Buffer.from(basic('a b', AWKWARD_SECRET).slice(6), 'base64').toString().split(':');
  assert.equal(id, 'a+b');
  assert.equal(new URLSearchParams(`x=${secret}`).get('x'), AWKWARD_SECRET);
});

shows('lab: a browser signs in at the provider itself, and notices a policy violation', { skip: noBrowser }, async () => {
  await configure('basic');
  const tab = await openTab({ out: path.join(OUT, 'lab'), name: 'lab' });
  const result = await tab.signIn(app.origin, { email: 'ada@a.test' });
  assert.equal(result.claims.sub, 'sub|ada@a.test');
  assert.deepEqual(tab.problems, []);
  assert.deepEqual(await tab.accessibility(), []);
  await tab.page.route('**/strict', (route) => route.fulfill({
    contentType: 'text/html', headers: { 'content-security-policy': "default-src 'none'" }, body: '<img src="/x.png">',
  }));
  await tab.page.goto(`${app.origin}/strict`);
  await tab.page.waitForTimeout(200);
  assert.match(tab.problems.join('\n'), /img-src|Content Security Policy/);
  await tab.close();
});
