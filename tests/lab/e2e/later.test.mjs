// npm openid-client through what is announced in discovery once it is served: pushed requests, devices, sign-out. Each is
// switched on here when its endpoint has landed.
import assert from 'node:assert/strict';
import { after, before } from 'node:test';
import * as oidc from 'openid-client';
import { Person, World, shows } from '../world.mjs';

const LANDED = { pushed: true, device: true, logout: true };
const until = (what) => ({ skip: !LANDED[what] && 'comes with its endpoint' });

let world;
let cast;
before(async () => {
  if (!Object.values(LANDED).some(Boolean)) return;
  world = await World.start();
  cast = await world.cast({ domain: 'a.test', name: 'Aperture' });
});
after(() => world?.stop());

/** The parameters of a request, and what is needed to redeem its code. */
async function prepared(app, more = {}) {
  const kept = { pkceCodeVerifier: oidc.randomPKCECodeVerifier(), expectedNonce: oidc.randomNonce(), expectedState: oidc.randomState() };
  return {
    kept: { ...kept, idTokenExpected: true },
    parameters: {
      redirect_uri: app.redirectUri, scope: 'openid email', state: kept.expectedState, nonce: kept.expectedNonce,
      code_challenge: await oidc.calculatePKCECodeChallenge(kept.pkceCodeVerifier), code_challenge_method: 'S256', ...more,
    },
  };
}

shows('openid-client pushes its request, and the address has nothing but its name in it (RFC 9126)', until('pushed'), async () => {
  const { app } = cast;
  const { kept, parameters } = await prepared(app);
  const url = await oidc.buildAuthorizationUrlWithPAR(app.config, parameters);
  assert.deepEqual([...url.searchParams.keys()].sort(), ['client_id', 'request_uri']);
  const page = await new Person('ada@a.test').signIn(url, { until: app.redirectUri });
  const tokens = await oidc.authorizationCodeGrant(app.config, page.location, kept);
  assert.equal(tokens.claims().email, 'ada@a.test');
  // once only
  const again = await new Person('bea@a.test').request(url);
  assert.equal(again.location, undefined, 'a pushed request is good once');
});

shows('an app that has to push its requests is not answered without', until('pushed'), async () => {
  const app = await world.app({ org: cast.org, name: 'Pushing', more: ['--require-pushed-requests'] });
  const { kept, parameters } = await prepared(app);
  const page = await new Person('ada@a.test').request(oidc.buildAuthorizationUrl(app.config, parameters));
  const error = page.location?.searchParams.get('error');
  assert.ok(error === 'invalid_request' || page.status >= 400, String(page));
  const pushed = await oidc.buildAuthorizationUrlWithPAR(app.config, parameters);
  const done = await new Person('ada@a.test').signIn(pushed, { until: app.redirectUri });
  assert.ok((await oidc.authorizationCodeGrant(app.config, done.location, kept)).access_token);
});

/** A device on openid-client. */
async function device() {
  const made = await world.json('app', 'create', '--org', cast.org, '--name', 'Television', '--kind', 'native', '--public',
    '--grant-type', 'urn:ietf:params:oauth:grant-type:device_code');
  return oidc.discovery(new URL(world.url), made.clientId, undefined, oidc.None(), { execute: [oidc.allowInsecureRequests] });
}

shows('openid-client waits as a device while the person signs in elsewhere (RFC 8628)', until('device'), async () => {
  const config = await device();
  const begun = await oidc.initiateDeviceAuthorization(config, { scope: 'openid email' });
  assert.ok(begun.user_code && begun.verification_uri_complete.includes(begun.user_code));
  assert.equal(new URL(begun.verification_uri).origin, world.url);
  const waiting = oidc.pollDeviceAuthorizationGrant(config, begun, undefined, { signal: AbortSignal.timeout(60_000) });
  const person = new Person('ada@a.test');
  await person.signIn(new URL('/signin', world.url));
  let page = await person.open(new URL(begun.verification_uri_complete));
  page = await page.submit({ user_code: begun.user_code });
  assert.match(page.text, /Television/, 'the person is told which app it is');
  await page.submit({}, { button: 'allow' });
  const tokens = await waiting;
  assert.equal(tokens.claims().email, 'ada@a.test');
});

shows('a device whose code nobody enters is told that it has to wait', until('device'), async () => {
  const config = await device();
  const begun = await oidc.initiateDeviceAuthorization(config, { scope: 'openid' });
  const error = await oidc.genericGrantRequest(config, 'urn:ietf:params:oauth:grant-type:device_code', { device_code: begun.device_code })
    .then(() => undefined, (failed) => failed.error);
  assert.equal(error, 'authorization_pending');
});

shows('openid-client signs the person out, and the next sign-in asks again', until('logout'), async () => {
  const back = `${cast.app.origin}/`;
  const app = await world.app({ org: cast.org, name: 'Leaving' });
  await world.json('app', 'update', app.clientId, '--post-logout-redirect-uri', back);
  const person = new Person('ada@a.test');
  const { tokens } = await person.into(app);
  const url = oidc.buildEndSessionUrl(app.config, { post_logout_redirect_uri: back, id_token_hint: tokens.id_token, state: 'the state' });
  const page = await person.open(url, { stop: (to) => to.href.startsWith(back) });
  assert.equal(page.location?.searchParams.get('state'), 'the state', String(page));
  const visits = world.op.visits();
  await person.into(app);
  assert.equal(world.op.visits(), visits + 1, 'the session has ended');
});

shows('signing out without a hint asks first, and returns nowhere that is not registered', until('logout'), async () => {
  const { app } = cast;
  const person = new Person('ada@a.test');
  await person.into(app);
  const asked = await person.open(oidc.buildEndSessionUrl(app.config, { post_logout_redirect_uri: 'https://evil.test/' }));
  assert.ok(!String(asked.location ?? '').startsWith('https://evil.test'), String(asked));
  const visits = world.op.visits();
  await person.into(app);
  assert.equal(world.op.visits(), visits, 'nothing has ended yet');
});
