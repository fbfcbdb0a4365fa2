// The Grantex SDK (PyPI `grantex`, unmodified) against authd: every method of `sso` and `scim`, and sign-ins through an
// OpenID provider, a SAML identity provider and a directory that an app hands over. The SDK runs in grantex/suite.py.
import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import path from 'node:path';
import { after, before } from 'node:test';
import { fileURLToPath } from 'node:url';
import { keyPairPem } from '../certificate.mjs';
import { PASSWORD, secretOf, subjectOf } from '../provider.mjs';
import { BASE, GROUPS, SERVICE, noSlapd, startSlapd } from '../slapd.mjs';
import { OUT, Person, World, shows } from '../world.mjs';
import { freePort } from '../web.mjs';

const python = process.env.AUTHD_LAB_PYTHON ?? path.join(OUT, 'python/bin/python');
const suite = fileURLToPath(new URL('../grantex/suite.py', import.meta.url));
const skip = installed() ? false : 'grantex is not installed (tests/run does it; AUTHD_LAB_PYTHON names an interpreter that has it)';
const saml = await import('../saml.mjs').catch(() => undefined);

function installed() {
  try {
    execFileSync(python, ['-c', 'from grantex import Grantex'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

const APP = 'https://app.grantex.test/cb';
let world;
let slapd;
let idp;
let facts;

/** Runs one case of the suite, and answers what it answered. */
function run(name, more = {}) {
  return new Promise((done, fail) => {
    const child = execFile(python, [suite, name], { maxBuffer: 1 << 24, env: { ...process.env, NO_COLOR: '1' } }, (error, stdout, stderr) => {
      if (error) fail(new Error(`${name}: ${stderr || error}`));
      else done(JSON.parse(stdout.trim().split('\n').at(-1)));
    });
    child.stdin.end(JSON.stringify({ ...facts, ...more }));
  });
}

const key = async (org, ...grants) =>
  (await world.json('api-key', 'create', '--org', org, '--name', 'sdk', ...grants.flatMap((grant) => ['--grant', grant]))).key;

before(async () => {
  if (skip) return;
  slapd = noSlapd ? undefined : await startSlapd();
  idp = await saml?.startSamlp?.({ domain: 'saml.test' });
  const silent = await freePort();
  world = await World.start({ args: [silent, slapd?.port, slapd?.tlsPort, idp?.port].filter(Boolean).flatMap((port) => ['--outbound-allow', `127.0.0.1:${port}`]) });
  const [org, stranger] = [await world.organization('Grantex'), await world.organization('Stranger')];
  // What an owner may do: everything but vouching for a domain.
  const tenant = ['connection.create', 'connection.read', 'connection.manage', 'connection.domain.manage', 'connection.protocol.manage'];
  facts = {
    url: world.url,
    org,
    key: await key(org, '*'),
    strangerKey: await key(stranger, '*'),
    tenantKey: await key(org, ...tenant),
    weakKey: await key(org, 'user.read'),
    noKey: 'ak_nothing',
    issuer: world.op.issuer,
    silentIssuer: `http://127.0.0.1:${silent}`,
    clientSecret: secretOf('basic'),
    certificate: keyPairPem().cert,
    domain: 'people.test',
  };
});
after(async () => {
  await world?.stop();
  await slapd?.close();
  await idp?.close?.();
});

for (const [name, what] of [
  ['connections', 'connections are made, changed, shown without secrets, and deleted'],
  ['documented', 'the documented fields that the SDK\'s own server never had'],
  ['tests', 'a test says what a provider answers, or why it cannot be used'],
  ['config', 'the one configuration of older versions'],
  ['scim', 'tokens and people, by a SCIM token and by the API key'],
]) {
  shows(`Grantex: ${what}`, { skip }, async () => assert.equal(await run(name), 'ok'));
}

shows('Grantex: enforcement, with exempt roles, and not before somebody could help', { skip }, async (t) => {
  if (!await world.serves('enforcement.set')) return t.skip('this authd enforces nothing yet');
  assert.equal(await run('enforcement'), 'ok');
});

/** An active connection to the lab's provider for people.test, whose answers go to the app. */
async function connection(more = {}) {
  const answer = await fetch(`${world.url}/v1/sso/connections`, {
    method: 'POST',
    headers: { authorization: `Bearer ${facts.key}`, 'content-type': 'application/json' },
    body: JSON.stringify({
      name: 'People', protocol: 'oidc', issuerUrl: world.op.issuer, clientId: 'basic', clientSecret: secretOf('basic'), domains: ['people.test'],
      jitProvisioning: true, redirectUri: APP, scopes: ['openid', 'profile', 'email', 'groups'], groupMappings: { engineers: ['docs.write'], staff: ['docs.read'] }, defaultScopes: ['none'], ...more,
    }),
  });
  const made = await answer.json();
  assert.equal(answer.status, 201, JSON.stringify(made));
  world.op.allow(APP, world.callback(made.id));
  return made;
}

const remove = (id) => fetch(`${world.url}/v1/sso/connections/${id}`, { method: 'DELETE', headers: { authorization: `Bearer ${facts.key}` } });

/** Signs somebody in at the provider; what it sends back to the app is not followed. */
async function walk(authorizeUrl, back, email = 'ada@people.test') {
  const page = await new Person(email).signIn(authorizeUrl, { until: back, password: PASSWORD });
  const { searchParams } = new URL(page.location);
  return { code: searchParams.get('code'), state: searchParams.get('state') };
}

shows('Grantex: a sign-in through an OpenID provider, whose answer the app receives and hands over', { skip }, async () => {
  const made = await connection();
  assert.equal(await run('logins'), 'ok');
  const begun = await run('login', { redirectUri: APP });
  assert.deepEqual([begun.connectionId, begun.protocol], [made.id, 'oidc']);
  const came = await walk(begun.authorizeUrl, APP);
  // The key of another organization, none, and another address complete nothing, and use nothing up.
  assert.deepEqual((await run('callback', { protocol: 'oidc', ...came, as: 'strangerKey' })).refused, [400, 'BAD_REQUEST']);
  assert.deepEqual((await run('callback', { protocol: 'oidc', ...came, as: 'noKey' })).refused, [401, 'UNAUTHORIZED']);
  assert.deepEqual((await run('callback', { protocol: 'oidc', ...came, as: 'weakKey' })).refused, [403, 'FORBIDDEN']);
  assert.deepEqual((await run('callback', { protocol: 'oidc', ...came, redirectUri: `${APP}2` })).refused, [400, 'BAD_REQUEST']);
  const result = await run('callback', { protocol: 'oidc', ...came, redirectUri: APP });
  assert.deepEqual([result.email, result.sub, result.developerId], ['ada@people.test', subjectOf('ada@people.test'), facts.org], JSON.stringify(result));
  assert.deepEqual(result.groups.sort(), ['engineers', 'staff']);
  assert.deepEqual(result.mappedScopes.sort(), ['docs.read', 'docs.write']);
  const lasts = Date.parse(result.expiresAt) - Date.now();
  assert.ok(lasts > 7.9 * 3600e3 && lasts <= 8 * 3600e3, `${lasts}`);
  assert.deepEqual((await run('callback', { protocol: 'oidc', ...came, redirectUri: APP })).refused, [400, 'BAD_REQUEST']);
  assert.deepEqual((await run('callback', { protocol: 'oidc', code: 'x', state: 'unknown' })).refused, [400, 'BAD_REQUEST']);
  assert.equal(await run('sessions', { ...result, connectionId: made.id, connectionName: 'People' }), 'ok');

  // A code that the provider refuses is a refused sign-in.
  const second = await run('login', { redirectUri: APP });
  const { state } = await walk(second.authorizeUrl, APP, 'bob@people.test');
  const refused = await run('callback', { protocol: 'oidc', code: 'forged', state, redirectUri: APP });
  assert.deepEqual(refused.refused, [401, 'SSO_AUTH_FAILED'], JSON.stringify(refused));
  assert.equal(refused.reason, 'code_refused');
  await remove(made.id);
});

shows('Grantex: the same through authd\'s own callback address, and as older versions do it', { skip }, async () => {
  const made = await connection({ redirectUri: undefined });
  const own = world.callback(made.id);
  const begun = await run('login');
  const came = await walk(begun.authorizeUrl, own, 'cy@people.test');
  // A browser that follows it completes nothing: no browser began it.
  const followed = await fetch(`${own}?code=${encodeURIComponent(came.code)}&state=${encodeURIComponent(came.state)}`);
  assert.equal(followed.status, 400);
  const result = await run('callback', { protocol: 'oidc', ...came });
  assert.equal(result.email, 'cy@people.test', JSON.stringify(result));
  const again = await run('login');
  const legacy = await run('callback', { protocol: 'legacy', ...await walk(again.authorizeUrl, own, 'dee@people.test') });
  assert.deepEqual([legacy.email, legacy.developerId], ['dee@people.test', facts.org]);
  assert.deepEqual((await run('callback', { protocol: 'legacy', code: 'x', state: 'y' })).refused, [400, 'BAD_REQUEST']);
  await remove(made.id);
});

shows('Grantex: the one configuration of older versions signs people in', { skip }, async () => {
  const config = (method, body) => fetch(`${world.url}/v1/sso/config`, { method, headers: { authorization: `Bearer ${facts.key}`, 'content-type': 'application/json' }, body });
  const made = await config('POST', JSON.stringify({ issuerUrl: world.op.issuer, clientId: 'basic', clientSecret: secretOf('basic'), redirectUri: APP }));
  assert.equal(made.status, 201);
  world.op.allow(APP);
  // It has no field for who is added, so the organization's policy says.
  const begun = await run('login', { domain: null });
  const came = await walk(begun.authorizeUrl, APP, 'eli@people.test');
  const legacy = await run('callback', { protocol: 'legacy', ...came });
  assert.deepEqual(legacy, { email: 'eli@people.test', name: legacy.name, sub: subjectOf('eli@people.test'), developerId: facts.org }, JSON.stringify(legacy));
  assert.equal((await config('DELETE')).status, 204);
  assert.deepEqual((await run('callback', { protocol: 'legacy', ...came })).refused, [400, 'BAD_REQUEST']);
});

shows('Grantex: nobody is added where that is not said, and a person who was suspended stays out', { skip }, async () => {
  const made = await connection({ jitProvisioning: undefined });
  assert.equal(made.jitProvisioning, false);
  const begun = await run('login', { redirectUri: APP });
  const out = await run('callback', { protocol: 'oidc', ...await walk(begun.authorizeUrl, APP, 'new@people.test'), redirectUri: APP });
  assert.deepEqual(out.refused, [401, 'SSO_AUTH_FAILED'], JSON.stringify(out));
  await remove(made.id);
});

const slapdOnly = { skip: skip || noSlapd };
shows('Grantex: a sign-in through a directory, by name and password that the app was given', slapdOnly, async () => {
  const { id } = await (await fetch(`${world.url}/v1/sso/connections`, {
    method: 'POST',
    headers: { authorization: `Bearer ${facts.key}`, 'content-type': 'application/json' },
    body: JSON.stringify({
      name: 'Directory', protocol: 'ldap', ldapUrl: slapd.url, ldapBindDn: SERVICE.dn, ldapBindPassword: SERVICE.password, ldapSearchBase: BASE,
      ldapGroupSearchBase: GROUPS, domains: ['example.test'], jitProvisioning: true, groupMappings: { engineers: ['docs.write'] },
    }),
  })).json();
  const begun = await run('login', { domain: 'example.test' });
  assert.deepEqual([begun.connectionId, begun.protocol], [id, 'ldap']);
  const form = await fetch(begun.authorizeUrl);
  assert.match(await form.text(), /type="password"/);
  const given = { protocol: 'ldap', connectionId: id, username: 'ada', password: 'ada-secret' };
  const result = await run('callback', given);
  assert.equal(result.email, 'ada@example.test', JSON.stringify(result));
  assert.ok(result.groups.includes('engineers') && result.groups.includes('staff'), 'nested groups, too');
  assert.deepEqual(result.mappedScopes, ['docs.write']);
  assert.deepEqual((await run('callback', { ...given, password: 'wrong' })).refused, [401, 'SSO_AUTH_FAILED']);
  assert.deepEqual((await run('callback', { ...given, username: 'nobody' })).refused, [401, 'SSO_AUTH_FAILED']);
  assert.deepEqual((await run('callback', { ...given, username: '*' })).refused, [401, 'SSO_AUTH_FAILED']);
  assert.deepEqual((await run('callback', { ...given, password: '' })).refused, [400, 'BAD_REQUEST']);
  assert.deepEqual((await run('callback', { ...given, as: 'strangerKey' })).refused, [404, 'NOT_FOUND']);
  assert.equal(await run('sessions', { ...result, connectionId: id, connectionName: 'Directory' }), 'ok');
  const tested = await fetch(`${world.url}/v1/sso/connections/${id}/test`, { method: 'POST', headers: { authorization: `Bearer ${facts.key}`, 'content-type': 'application/json' }, body: '{}' });
  const report = await tested.json();
  assert.deepEqual([tested.status, report.success, report.ldapUrl, report.ldapSearchBase], [200, true, slapd.url, BASE]);
  await remove(id);
});

const samlOnly = { skip: skip || (!saml?.startSamlp && 'no SAML identity provider in this lab') };
shows('Grantex: a sign-in through a SAML identity provider, whose answer the app receives and hands over', samlOnly, async () => {
  const acs = 'https://app.grantex.test/acs';
  const ownAcs = await world.serves('spAcsUrl');
  const { id, spAcsUrl, spEntityId } = await (await fetch(`${world.url}/v1/sso/connections`, {
    method: 'POST',
    headers: { authorization: `Bearer ${facts.key}`, 'content-type': 'application/json' },
    body: JSON.stringify({
      name: 'Saml', protocol: 'saml', idpEntityId: idp.entityId, idpSsoUrl: `${idp.origin}/sso`, idpCertificate: idp.cert, domains: ['saml.test'], jitProvisioning: true, ...(ownAcs ? { spAcsUrl: acs } : {}),
      groupMappings: { engineers: ['docs.write'] }, defaultScopes: ['none'],
    }),
  })).json();
  assert.equal(spAcsUrl, ownAcs ? acs : `${world.url}/connections/${id}/saml/acs`);
  idp.sp = { entityId: spEntityId, acsUrl: spAcsUrl };
  const begun = await run('login', { domain: 'saml.test' });
  assert.deepEqual([begun.connectionId, begun.protocol], [id, 'saml']);
  const page = await (await fetch(begun.authorizeUrl)).text();
  const field = (name) => page.match(new RegExp(`name="${name}"[^>]*value="([^"]*)"`))?.[1]?.replaceAll('&#x2B;', '+').replaceAll('&#43;', '+');
  const came = { protocol: 'saml', SAMLResponse: field('SAMLResponse'), RelayState: field('RelayState') };
  assert.deepEqual((await run('callback', { ...came, SAMLResponse: 'nonsense' })).refused, [400, 'BAD_REQUEST']);
  const xml = Buffer.from(came.SAMLResponse, 'base64').toString();
  const forged = Buffer.from(xml.replace('ada@saml.test', 'eve@saml.test')).toString('base64');
  assert.deepEqual((await run('callback', { ...came, SAMLResponse: forged })).refused, [401, 'SSO_AUTH_FAILED']);
  assert.deepEqual((await run('callback', { ...came, RelayState: 'unknown' })).refused, [400, 'BAD_REQUEST']);
  assert.deepEqual((await run('callback', { ...came, as: 'strangerKey' })).refused, [400, 'BAD_REQUEST']);
  const result = await run('callback', came);
  assert.equal(result.email, 'ada@saml.test', JSON.stringify(result));
  assert.deepEqual(result.groups.sort(), ['engineers', 'staff']);
  assert.deepEqual(result.mappedScopes, ['docs.write']);
  assert.deepEqual((await run('callback', came)).refused, [400, 'BAD_REQUEST']);
  await remove(id);
});
