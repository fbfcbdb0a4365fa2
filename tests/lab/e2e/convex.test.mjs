// The Convex client (npm `convex`, unmodified) against authd: each function of auth/group once right and once with a wrong
// argument, what it may not do, and what it does not see.
import assert from 'node:assert/strict';
import { after, before } from 'node:test';
import { ConvexHttpClient } from 'convex/browser';
import { anyApi } from 'convex/server';
import { ConvexError } from 'convex/values';
import { SignJWT, exportJWK, generateKeyPair } from 'jose';
import { secretOf } from '../provider.mjs';
import { keyPairPem } from '../certificate.mjs';
import { World, shows } from '../world.mjs';

const group = anyApi.auth.group;
let world;
let own;
let other;

/** An organization, with a client that speaks for its owner. */
async function tenant(name) {
  const org = await world.organization(name);
  const { access_token: token } = await world.json('token', 'issue', '--org', org, '--role', 'owner');
  return { org, token, client: client(token) };
}

function client(token) {
  const made = new ConvexHttpClient(world.url, { skipConvexDeploymentUrlCheck: true, logger: false });
  if (token) made.setAuth(token);
  return made;
}

/** The function fails with data of that code, and a message in which the field stands. */
async function refused(promise, code, says) {
  const error = await promise.then((value) => assert.fail(`it answered ${JSON.stringify(value)}`), (caught) => caught);
  assert.ok(error instanceof ConvexError, `${error}`);
  assert.equal(error.data.code, code, JSON.stringify(error.data));
  assert.deepEqual(Object.keys(error.data).sort(), ['code', 'message']);
  if (says) assert.match(error.data.message, says);
}

const connect = async ({ client: caller, org }, more = {}) =>
  (await caller.mutation(group.createConnection, { groupId: org, protocol: 'oidc', name: 'Okta', ...more })).connectionId;

const oidc = () => ({ discovery: { issuer: world.op.issuer }, client: { id: 'basic', secret: secretOf('basic') } });

before(async () => {
  world = await World.start({ args: ['--outbound-allow', '127.0.0.1:9'] });
  [own, other] = [await tenant('Own'), await tenant('Other')];
});
after(() => world?.stop());

shows('Convex: a connection from its creation to its end', async () => {
  const { client: caller, org } = own;
  const made = await caller.mutation(group.createConnection, { groupId: org, protocol: 'oidc', name: 'Okta', slug: 'okta', domain: 'own.test' });
  assert.deepEqual(Object.keys(made).sort(), ['connectionId', 'groupId']);
  const id = made.connectionId;
  const doc = await caller.query(group.getConnection, { id });
  assert.equal(doc._id, id);
  assert.equal(typeof doc._creationTime, 'number');
  assert.deepEqual([doc.groupId, doc.slug, doc.name, doc.protocol, doc.status], [org, 'okta', 'Okta', 'oidc', 'draft']);
  const found = await caller.query(group.getConnectionByDomain, { domain: 'OWN.test' });
  assert.deepEqual([found.connection._id, found.domain.domain], [id, 'own.test']);
  assert.equal(await caller.query(group.getConnectionByDomain, { domain: 'nobody.test' }), null);

  assert.deepEqual(await caller.mutation(group.updateConnection, { id, patch: { name: 'New name' } }), { connectionId: id });
  await caller.mutation(group.updateConnection, { id, data: { slug: null } });
  assert.equal((await caller.query(group.getConnection, { id })).slug, undefined);
  const status = await caller.query(group.getConnectionStatus, { connectionId: id });
  assert.equal(status.connectionId, id);
  assert.deepEqual([status.status, status.ready, status.domainCount], ['draft', false, 1]);
  assert.deepEqual(Object.keys(status.protocols.oidc).sort(), ['clientId', 'configured', 'issuer', 'ready']);
  assert.ok('configured' in status.protocols.saml && 'entityId' in status.protocols.saml);

  assert.deepEqual(await caller.mutation(group.removeConnection, { id }), { connectionId: id });
  assert.equal(await caller.query(group.getConnection, { id }), null);
});

shows('Convex: connections are wrong in a way that names the field', async () => {
  const { client: caller, org } = own;
  const id = await connect(own);
  const wrong = 'INVALID_PARAMETERS';
  await refused(caller.mutation(group.createConnection, { protocol: 'oidc' }), wrong, /`groupId`/);
  await refused(caller.mutation(group.createConnection, { groupId: 5, protocol: 'oidc' }), wrong, /`groupId`/);
  await refused(caller.mutation(group.createConnection, { groupId: org, protocol: 'ftp' }), wrong, /`protocol`.*oidc, saml, ldap/);
  await refused(caller.mutation(group.createConnection, { groupId: org, protocol: 'oidc', slug: 'No Slug' }), wrong, /slug/i);
  await refused(caller.mutation(group.createConnection, { groupId: org, protocol: 'oidc', nmae: 'x' }), wrong, /`nmae`/);
  await refused(caller.query(group.getConnection, { id: 7 }), wrong, /`id`/);
  await refused(caller.query(group.getConnectionByDomain, { domain: '' }), wrong, /`domain`/);
  await refused(caller.query(group.listConnections, { where: {}, paginationOpts: { numItems: 5, cursor: null } }), wrong, /`where.groupId`/);
  await refused(caller.query(group.listConnections, { where: { groupId: org } }), wrong, /`paginationOpts`/);
  await refused(caller.mutation(group.updateConnection, { id, patch: { status: 'on' } }), wrong, /`patch\.status`/);
  await refused(caller.mutation(group.updateConnection, { id, patch: {} }), wrong, /patch/);
  await refused(caller.mutation(group.updateConnection, { id, patch: { groupId: org } }), wrong, /`patch.groupId`/);
  await refused(caller.mutation(group.updateConnection, { id, patch: { jit: 'yes' } }), wrong, /jit/);
  await refused(caller.mutation(group.deleteConnection, {}), wrong, /`id`/);
  await refused(caller.query(group.getConnectionStatus, { connectionId: 'nothing' }), wrong, /`connectionId`/);
});

shows('Convex: connections are listed page by page, filtered and in order', async () => {
  const tenantOf = await tenant('Pages');
  const { client: caller, org } = tenantOf;
  const names = ['beta', 'alpha', 'delta', 'gamma', 'epsilon'];
  for (const name of names) await connect(tenantOf, { name, slug: name });
  const all = async (more) => {
    const seen = [];
    let cursor = null;
    for (let turn = 0; turn < 10; turn += 1) {
      const page = await caller.query(group.listConnections, { where: { groupId: org }, paginationOpts: { numItems: 2, cursor }, ...more });
      seen.push(...page.page.map((doc) => doc.name));
      cursor = page.continueCursor;
      assert.equal(typeof cursor, 'string');
      if (page.isDone) {
        const after = await caller.query(group.listConnections, { where: { groupId: org }, paginationOpts: { numItems: 2, cursor }, ...more });
        assert.deepEqual([after.page, after.isDone], [[], true]);
        return seen;
      }
    }
    return assert.fail('the pages never end');
  };
  assert.deepEqual(await all({}), names);
  assert.deepEqual(await all({ order: 'desc' }), [...names].reverse());
  assert.deepEqual(await all({ orderBy: 'name', order: 'asc' }), [...names].sort());
  assert.deepEqual(await all({ orderBy: 'name', order: 'desc' }), [...names].sort().reverse());
  const one = await caller.query(group.listConnections, { where: { groupId: org, slug: 'gamma', status: 'draft' }, paginationOpts: { numItems: 9, cursor: null } });
  assert.deepEqual(one.page.map((doc) => doc.name), ['gamma']);
  const none = await caller.query(group.listConnections, { where: { groupId: org, status: 'active' }, paginationOpts: { numItems: 9, cursor: null } });
  assert.deepEqual([none.page, none.isDone], [[], true]);
  await refused(caller.query(group.listConnections, { where: { groupId: org }, paginationOpts: { numItems: 2, cursor: 'x y' } }), 'INVALID_PARAMETERS', /cursor/);
  await refused(caller.query(group.listConnections, { where: { groupId: org }, paginationOpts: { numItems: 0, cursor: null } }), 'INVALID_PARAMETERS', /numItems/);
  await refused(caller.query(group.listConnections, { where: { groupId: org }, order: 'up', paginationOpts: { numItems: 2, cursor: null } }), 'INVALID_PARAMETERS', /`order`/);
});

shows('Convex: domains are claimed, asked to be proved, and looked at', async () => {
  const { client: caller } = own;
  const connectionId = await connect(own);
  const domains = [{ domain: 'a.own.test', isPrimary: true }, { domain: 'b.own.test' }];
  const set = await caller.mutation(group.setDomains, { connectionId, domains });
  assert.deepEqual(set.summary, { domainCount: 2, primaryCount: 1, verifiedCount: 0 });
  assert.deepEqual((await caller.query(group.listDomains, { connectionId })).map((one) => one.domain), ['a.own.test', 'b.own.test']);
  const valid = await caller.query(group.validateDomains, { connectionId });
  assert.equal(valid.ready, false);
  assert.ok(valid.warnings.length > 0);
  const asked = await caller.mutation(group.requestDomainVerification, { connectionId, domain: 'a.own.test' });
  assert.deepEqual([asked.challenge.recordType, asked.challenge.recordName], ['TXT', '_authd-verification.a.own.test']);
  assert.equal(asked.expiresAt - asked.requestedAt, 7 * 24 * 3600 * 1000);
  const status = await caller.query(group.getDomainStatus, { connectionId });
  assert.equal(status.primaryDomain, 'a.own.test');
  assert.deepEqual(status.trust, { domainDiscoveryReady: false, primaryDomainVerified: false, automaticLinkingEligible: false });
  assert.ok(status.pendingChallenges.length === 2 && status.nextSteps.length > 0 && status.trustedDomains.length === 0);
  const confirmed = await caller.action(group.confirmDomainVerification, { connectionId, domain: 'a.own.test' });
  assert.deepEqual(confirmed.checks.map((check) => check.name), ['verification_requested', 'challenge_active', 'dns_record_present', 'dns_record_matches', 'domain_verified']);
  assert.equal(confirmed.ok, false);

  const wrong = 'INVALID_PARAMETERS';
  await refused(caller.mutation(group.setDomains, { connectionId, domains: [{ isPrimary: true }] }), wrong, /domains\[0\]\.domain/);
  await refused(caller.mutation(group.setDomains, { connectionId, domains: [{ domain: 'com' }] }), wrong, /domain/i);
  await refused(caller.mutation(group.setDomains, { connectionId, domains: 'a.test' }), wrong, /`domains`/);
  await refused(caller.query(group.listDomains, {}), wrong, /`connectionId`/);
  await refused(caller.query(group.validateDomains, { connectionId, more: 1 }), wrong, /`more`/);
  await refused(caller.query(group.getDomainStatus, { connectionId: 1 }), wrong, /`connectionId`/);
  await refused(caller.mutation(group.requestDomainVerification, { connectionId }), wrong, /`domain`/);
  await refused(caller.mutation(group.requestDomainVerification, { connectionId, domain: 'never.claimed.test' }), wrong, /never\.claimed\.test/);
  await refused(caller.action(group.confirmDomainVerification, { connectionId, domain: 5 }), wrong, /`domain`/);
});

shows('Convex: OpenID Connect is set, read without its secret, checked, and switched on', async () => {
  const { client: caller } = own;
  const connectionId = await connect(own);
  assert.equal(await caller.query(group.getOidc, { connectionId }), null);
  const set = await caller.mutation(group.setOidc, { connectionId, ...oidc(), security: { clockToleranceSeconds: 30 } });
  assert.equal(set.hasClientSecret, true);
  const got = await caller.query(group.getOidc, { connectionId });
  assert.deepEqual([got.discovery.issuer, got.client.id, got.security.clockToleranceSeconds], [world.op.issuer, 'basic', 30]);
  assert.ok(!JSON.stringify(got).includes(secretOf('basic')));
  const doc = await caller.query(group.getConnection, { id: connectionId });
  assert.equal(doc.config.hasClientSecret, true);
  const report = await caller.action(group.validateOidc, { connectionId });
  assert.equal(report.ok, true, JSON.stringify(report));
  assert.deepEqual(report.checks.map((check) => check.name), ['oidc_configured', 'client_id_present', 'client_secret_stored',
    'issuer_or_discovery_url_present', 'discovery_reachable', 'token_endpoint_auth_method_supported', 'jwks_uri_present', 'audience_valid']);
  const status = await caller.query(group.getOidcStatus, { connectionId });
  assert.deepEqual([status.configured, status.ready, status.issuer], [true, true, world.op.issuer]);
  await caller.mutation(group.updateConnection, { id: connectionId, patch: { status: 'active' } });
  assert.equal((await caller.query(group.getConnection, { id: connectionId })).status, 'active');
  await caller.mutation(group.updateConnection, { id: connectionId, patch: { status: 'draft' } });
  await caller.mutation(group.updateConnection, { id: connectionId, patch: { status: 'disabled' } });
  assert.equal((await caller.query(group.getConnection, { id: connectionId })).status, 'disabled');

  const wrong = 'INVALID_PARAMETERS';
  await refused(caller.mutation(group.setOidc, { connectionId, client: { id: 5 } }), wrong, /client\.id/);
  await refused(caller.mutation(group.setOidc, { connectionId, client: { authMethod: 'magic' } }), wrong, /client_secret_post/);
  await refused(caller.mutation(group.setOidc, { connectionId, discovry: {} }), wrong, /discovry/);
  await refused(caller.mutation(group.setOidc, { connectionId, discovery: { issuer: 'https://login.microsoftonline.com/common/v2.0' } }), wrong);
  await refused(caller.query(group.getOidc, {}), wrong, /`connectionId`/);
  await refused(caller.query(group.getOidcStatus, { connectionId: [] }), wrong, /`connectionId`/);
  const saml = await connect(own, { protocol: 'saml' });
  await refused(caller.action(group.validateOidc, { connectionId: saml }), wrong, /saml/);
});

shows('Convex: each status is one to begin in, and what is no id is that of nothing', async () => {
  const { client: caller, org } = own;
  for (const status of ['draft', 'active', 'disabled']) {
    const id = await connect(own, { status, name: status });
    assert.equal((await caller.query(group.getConnection, { id })).status, status);
    assert.equal((await caller.query('auth/group:getConnectionStatus', { connectionId: id })).status, status);
    await caller.mutation('auth/group.js:deleteConnection', { id });
  }
  for (const id of ['', 'nothing', org]) assert.equal(await caller.query(group.getConnection, { id }), null);
});

shows('Convex: SAML is set, checked, and its metadata read by anybody', async () => {
  const { client: caller } = own;
  const connectionId = await connect(own, { protocol: 'saml', name: 'Entra' });
  const { cert } = keyPairPem();
  const metadata = { entityId: 'urn:idp:own', ssoUrl: 'https://idp.own.test/sso', certificate: cert };
  const set = await caller.action(group.setSaml, { connectionId, metadata, domains: [{ domain: 'saml.own.test' }] });
  assert.equal(set.identityProvider.entityId, 'urn:idp:own');
  assert.deepEqual(set.metadata, { entityId: 'urn:idp:own', ssoUrl: 'https://idp.own.test/sso' });
  assert.equal(typeof set.identityProvider.certificates[0].notAfter, 'number');
  assert.deepEqual((await caller.query(group.listDomains, { connectionId })).map((one) => one.domain), ['saml.own.test']);
  assert.equal((await caller.query(group.getSaml, { connectionId })).identityProvider.ssoUrl, 'https://idp.own.test/sso');
  const status = await caller.query(group.getSamlStatus, { connectionId });
  assert.ok(status.configured && status.ready && status.entityId);
  const report = await caller.query(group.validateSaml, { connectionId });
  assert.deepEqual(report.checks.slice(0, 7).map((check) => check.name), ['saml_configured', 'idp_metadata_present', 'idp_entity_id',
    'sp_metadata_generates', 'signed_assertions_compatible', 'authn_request_signing_compatible', 'timestamp_validation_configured']);
  assert.equal(report.ok, true);
  const xml = await client().query(group.metadata, { connectionId });
  assert.match(xml, /EntityDescriptor/);

  const wrong = 'INVALID_PARAMETERS';
  await refused(caller.action(group.setSaml, { connectionId, metadata: { xml: '<no' } }), wrong);
  await refused(caller.action(group.setSaml, { connectionId, security: { clockSkewSeconds: 'long' } }), wrong, /clockSkewSeconds/);
  await refused(caller.action(group.setSaml, { connectionId, domains: 'x.test' }), wrong, /`domains`/);
  await refused(caller.action(group.setSaml, { connectionId, metadata, domains: [{ domain: '' }] }), wrong, /`domains\[0\]\.domain`/);
  await refused(caller.query(group.getSaml, { connectionId: null }), wrong, /`connectionId`/);
  await refused(caller.query(group.getSamlStatus, {}), wrong, /`connectionId`/);
  await refused(caller.query(group.validateSaml, { connectionId: await connect(own) }), wrong, /oidc/);
  await refused(caller.action(group.refreshSaml, { connectionId }), wrong, /metadata/);
  await refused(caller.query(group.metadata, { connectionId: 'x' }), wrong, /`connectionId`/);
});

shows('Convex: provisioning is set with a token that is shown once', async (t) => {
  if (!await world.serves('scim.set')) return t.skip('this authd has no settings of directories yet');
  const { client: caller } = own;
  const connectionId = await connect(own);
  const set = await caller.mutation(group.setScim, { connectionId, status: 'active' });
  assert.equal(set.connectionId, connectionId);
  assert.ok(set.configId && set.token && set.basePath.includes(connectionId), JSON.stringify(set));
  assert.ok(!JSON.stringify(await caller.query(group.getScim, { connectionId })).includes(set.token));
  const status = await caller.query(group.getScimStatus, { connectionId });
  assert.deepEqual([status.configured, status.ready], [true, true]);
  const report = await caller.query(group.validateScim, { connectionId });
  for (const name of ['scim_config_exists', 'scim_config_active', 'token_hash_set', 'base_path_matches_route', 'user_external_id_reuse_enabled', 'filter_subset_supported', 'protocol_capabilities_declared']) {
    assert.ok(report.checks.some((check) => check.name === name), name);
  }
  assert.ok(report.capabilities.users && Array.isArray(report.capabilities.filters));
  const wrong = 'INVALID_PARAMETERS';
  await refused(caller.mutation(group.setScim, { connectionId, status: 'on' }), wrong, /`status`/);
  await refused(caller.mutation(group.setScim, { connectionId, security: { maxRequestSize: 'big' } }), wrong, /maxRequestSize/);
  await refused(caller.query(group.getScim, {}), wrong, /`connectionId`/);
  await refused(caller.query(group.getScimStatus, { connectionId: 3 }), wrong, /`connectionId`/);
  await refused(caller.query(group.validateScim, { connectionId, x: 1 }), wrong, /`x`/);
});

shows('Convex: the policy is read, changed and validated', async () => {
  const { client: caller, org: groupId } = await tenant('Policies');
  const policy = await caller.query(group.getPolicy, { groupId });
  assert.equal(policy.version, 1);
  assert.deepEqual([policy.identity.accountLinking.oidc, policy.provisioning.jit.mode], ['sameConnection', 'createUserAndMembership']);
  const after = await caller.mutation(group.updatePolicy, { groupId, patch: { provisioning: { jit: { mode: 'off' } } } });
  assert.equal(after.provisioning.jit.mode, 'off');
  await caller.mutation(group.updatePolicy, { groupId, data: { provisioning: { jit: { mode: 'createUser' } } } });
  const report = await caller.query(group.validatePolicy, { groupId });
  assert.deepEqual(report.checks.map((check) => check.name), ['policy_version', 'jit_default_role_ids_known',
    'provisioning_role_mapping_targets_known', 'provisioning_group_mapping_targets_known', 'scim_reuse_supported']);
  const wrong = 'INVALID_PARAMETERS';
  await refused(caller.mutation(group.updatePolicy, { groupId, patch: { provisioning: { jit: { mode: 'always' } } } }), wrong, /createUserAndMembership/);
  await refused(caller.mutation(group.updatePolicy, { groupId, patch: { provisionig: {} } }), wrong, /provisionig/);
  await refused(caller.mutation(group.updatePolicy, { groupId }), wrong, /`patch`/);
  await refused(caller.query(group.getPolicy, {}), wrong, /`groupId`/);
  await refused(caller.query(group.validatePolicy, { groupId: 'x' }), wrong, /`groupId`/);
});

shows('Convex: the log is read page by page, the operator is the system there', async () => {
  const { client: caller, org: groupId } = own;
  const connectionId = await connect(own);
  const page = await caller.query(group.listAudit, { groupId, paginationOpts: { numItems: 3, cursor: null } });
  assert.equal(page.page.length, 3);
  const [event] = page.page;
  assert.deepEqual([event.kind, event.category, event.outcome, event.groupId], ['connection.created', 'connection', 'success', groupId]);
  assert.equal(typeof event.occurredAt, 'number');
  assert.ok(event.eventId && Array.isArray(event.targets));
  const next = await caller.query(group.listAudit, { groupId, paginationOpts: { numItems: 3, cursor: page.continueCursor } });
  assert.ok(next.page.every((one) => !page.page.some((before) => before.eventId === one.eventId)));
  const about = await caller.query(group.listAudit, { connectionId, paginationOpts: { numItems: 10, cursor: null } });
  assert.deepEqual(about.page.map((one) => one.kind), ['connection.created']);
  const all = await caller.query(group.listAudit, { groupId, paginationOpts: { numItems: 200, cursor: null } });
  assert.ok(all.page.some((one) => one.kind === 'oauth.token.created' && one.actorType === 'system'), 'the token that was issued');
  assert.ok(all.page.every((one) => one.actorType !== 'operator'));
  const wrong = 'INVALID_PARAMETERS';
  await refused(caller.query(group.listAudit, { groupId }), wrong, /`paginationOpts`/);
  await refused(caller.query(group.listAudit, { groupId: 'x', paginationOpts: { numItems: 3, cursor: null } }), wrong, /`groupId`/);
});

shows('Convex: webhook endpoints are made, listed and disabled', async () => {
  const { client: caller } = own;
  const connectionId = await connect(own);
  const url = 'http://127.0.0.1:9/hook';
  const secret = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
  const made = await caller.mutation(group.createWebhookEndpoint, { connectionId, url, secret, subscriptions: ['connection.*'] });
  assert.deepEqual([made.connectionId, made.url, made.subscriptions], [connectionId, url, ['connection.*']]);
  const list = await caller.query(group.listWebhookEndpoints, { connectionId });
  assert.deepEqual(list.map((one) => one.endpointId), [made.endpointId]);
  assert.ok(!JSON.stringify(list).includes(secret));
  const page = await caller.query(group.listWebhookEndpoints, { connectionId, paginationOpts: { numItems: 5, cursor: null } });
  assert.deepEqual([page.page.length, page.isDone], [1, true]);
  const sent = await caller.query(group.listWebhookDeliveries, { endpointId: made.endpointId, paginationOpts: { numItems: 5, cursor: null } });
  assert.ok(Array.isArray(sent.page));
  assert.ok(Array.isArray(await caller.query(group.listWebhookDeliveries, { connectionId })));
  assert.deepEqual(await caller.mutation(group.disableWebhookEndpoint, { endpointId: made.endpointId }), { endpointId: made.endpointId });
  assert.equal((await caller.query(group.listWebhookEndpoints, { connectionId }))[0].status, 'disabled');
  const wrong = 'INVALID_PARAMETERS';
  await refused(caller.mutation(group.createWebhookEndpoint, { connectionId, secret }), wrong, /`url`/);
  await refused(caller.mutation(group.createWebhookEndpoint, { connectionId, url, subscriptions: 'all' }), wrong, /`subscriptions`/);
  await refused(caller.mutation(group.createWebhookEndpoint, { connectionId, url, secret: 'short' }), wrong, /secret/i);
  await refused(caller.query(group.listWebhookEndpoints, { connectionId: 1 }), wrong, /`connectionId`/);
  await refused(caller.mutation(group.disableWebhookEndpoint, {}), wrong, /`endpointId`/);
  await refused(caller.query(group.listWebhookDeliveries, {}), wrong, /`endpointId`/);
});

shows('Convex: a sign-in is found without a bearer, and begins where it says', async () => {
  const { org } = own;
  const connectionId = await world.connection({ org, domain: 'signin.test' });
  const nobody = client();
  const byDomain = await nobody.query(group.signIn, { domain: 'signin.test' });
  assert.deepEqual([byDomain.connectionId, byDomain.protocol, byDomain.callbackPath], [connectionId, 'oidc', `/connections/${connectionId}/oidc/callback`]);
  assert.ok(byDomain.providerId && byDomain.signInPath.startsWith('/'));
  assert.equal((await nobody.query(group.signIn, { email: 'ada@signin.test' })).connectionId, connectionId);
  assert.equal((await nobody.query(group.signIn, { connectionId })).connectionId, connectionId);
  const begun = await fetch(new URL(byDomain.signInPath, world.url), { redirect: 'manual' });
  assert.equal(begun.status, 303);
  assert.ok(begun.headers.get('location').startsWith(world.op.issuer));
  const relative = await nobody.query(group.signIn, { domain: 'signin.test', redirectTo: '/dash', loginHint: 'ada@signin.test' });
  assert.equal(relative.redirectTo, '/dash');
  const { redirect } = await nobody.action(anyApi.auth.signIn, { provider: connectionId, params: {} });
  assert.ok(redirect.startsWith(`${world.url}/signin?`));

  const wrong = 'INVALID_PARAMETERS';
  const none = /^No group connection matched the provided input\.$/;
  await refused(nobody.query(group.signIn, { domain: 'nobody.test' }), wrong, none);
  await refused(nobody.query(group.signIn, {}), wrong, none);
  assert.equal(await nobody.query(group.signInLookup, { email: 'a@nobody.test' }), null);
  assert.equal((await nobody.query(group.signInLookup, { domain: 'signin.test' })).connectionId, connectionId);
  await refused(nobody.query(group.signInLookup, { domain: 5 }), wrong, /`domain`/);
  await refused(nobody.query(group.signIn, { domain: 'signin.test', redirectTo: 'https://evil.test/' }), wrong, /redirectTo/);
  await refused(nobody.action(anyApi.auth.signIn, { provider: 5 }), wrong, /`provider`/);
  await refused(nobody.action(anyApi.auth.signIn, { provider: 'password', params: { email: 'ada@signin.test', password: 'x', flow: 'signIn' } }), wrong, /`provider`/);
});

shows('Convex: signing out ends what the bearer speaks for', async () => {
  const { org } = own;
  const { access_token: token } = await world.json('token', 'issue', '--org', org, '--role', 'owner');
  const caller = client(token);
  await caller.query(group.getPolicy, { groupId: org });
  assert.equal(await caller.action(anyApi.auth.signOut, {}), null);
  await refused(caller.query(group.getPolicy, { groupId: org }), 'NOT_SIGNED_IN');
  assert.equal(await client().action(anyApi.auth.signOut, {}), null);
  await refused(client().action(anyApi.auth.signOut, { all: true }), 'INVALID_PARAMETERS', /`all`/);
});

shows('Convex: whoever may not is refused, and what is another group\'s does not exist', async () => {
  const { org } = own;
  const connectionId = await connect(own);
  await refused(client().query(group.getConnection, { id: connectionId }), 'NOT_SIGNED_IN');
  await refused(client('nonsense').query(group.getConnection, { id: connectionId }), 'NOT_SIGNED_IN');
  const { access_token: weak } = await world.json('token', 'issue', '--org', org, '--role', 'viewer');
  const viewer = client(weak);
  assert.equal((await viewer.query(group.getConnection, { id: connectionId }))._id, connectionId);
  await refused(viewer.mutation(group.createConnection, { groupId: org, protocol: 'oidc' }), 'MISSING_GRANTS', /connection\.create/);
  await refused(viewer.mutation(group.deleteConnection, { id: connectionId }), 'MISSING_GRANTS');
  await refused(viewer.mutation(group.setOidc, { connectionId, ...oidc() }), 'MISSING_GRANTS');
  await refused(viewer.query(group.getPolicy, { groupId: org }), 'MISSING_GRANTS');
  const { access_token: none } = await world.json('token', 'issue', '--org', org, '--role', 'member');
  await refused(client(none).query(group.getConnection, { id: connectionId }), 'MISSING_GRANTS');

  const stranger = other.client;
  assert.equal(await stranger.query(group.getConnection, { id: connectionId }), null);
  for (const call of [
    () => stranger.mutation(group.updateConnection, { id: connectionId, patch: { name: 'x' } }),
    () => stranger.mutation(group.deleteConnection, { id: connectionId }),
    () => stranger.query(group.getConnectionStatus, { connectionId }),
    () => stranger.query(group.listDomains, { connectionId }),
    () => stranger.mutation(group.setDomains, { connectionId, domains: [] }),
    () => stranger.query(group.getOidc, { connectionId }),
    () => stranger.mutation(group.setOidc, { connectionId, ...oidc() }),
    () => stranger.query(group.listAudit, { connectionId, paginationOpts: { numItems: 5, cursor: null } }),
    () => stranger.query(group.listWebhookEndpoints, { connectionId }),
    () => stranger.query(group.getPolicy, { groupId: org }),
    () => stranger.query(group.listConnections, { where: { groupId: org }, paginationOpts: { numItems: 5, cursor: null } }),
    () => stranger.mutation(group.createConnection, { groupId: org, protocol: 'oidc' }),
  ]) await refused(call(), 'INVALID_PARAMETERS');
  assert.equal(await stranger.query(group.getConnectionByDomain, { domain: 'own.test' }), null);
});

shows('Convex: an API key and an app\'s own issuer are bearers, an id token never is', async () => {
  const { org } = own;
  const connectionId = await connect(own);
  const key = await world.json('api-key', 'create', '--org', org, '--name', 'convex', '--grant', 'connection.read');
  assert.equal((await client(key.key).query(group.getConnection, { id: connectionId }))._id, connectionId);
  await refused(client(key.key).mutation(group.deleteConnection, { id: connectionId }), 'MISSING_GRANTS');

  const { Person } = await import('../world.mjs');
  const through = await world.connection({ org, domain: 'people.test', name: 'People' });
  const app = await world.app({ org, name: 'Convex app' });
  const result = await new Person('ada@people.test').into(app, { connection: through });
  await refused(client(result.idToken ?? result.id_token).query(group.getConnection, { id: connectionId }), 'NOT_SIGNED_IN');
});

/** An issuer that the organization trusts, whose keys stand in the setting. */
async function trusted(org, more = []) {
  const { publicKey, privateKey } = await generateKeyPair('ES256', { extractable: true });
  const jwk = { ...await exportJWK(publicKey), kid: 'key-1', alg: 'ES256', use: 'sig' };
  const jwks = `data:application/json;base64,${Buffer.from(JSON.stringify({ keys: [jwk] })).toString('base64')}`;
  const { id } = await world.json('issuer', 'create', '--org', org, '--kind', 'customJwt', '--issuer', 'https://issuer.convex.test',
    '--jwks', jwks, '--algorithm', 'ES256', '--application-id', 'convex-app', '--store-users', ...more);
  const sign = ({ aud = 'convex-app', iss = 'https://issuer.convex.test', exp = '5m', alg = 'ES256', key = privateKey } = {}) =>
    new SignJWT({ name: 'Ada' }).setProtectedHeader({ alg, kid: 'key-1', typ: 'JWT' }).setIssuer(iss).setAudience(aud)
      .setSubject('user-1').setIssuedAt().setExpirationTime(exp).sign(key);
  return { id, sign };
}

shows('Convex: each bearer may do what it was given, and no more', async () => {
  const { org } = await tenant('Bearers');
  const paginationOpts = { numItems: 1, cursor: null };
  const may = async (token) => {
    const caller = client(token);
    const tried = await Promise.all([
      caller.mutation(group.createConnection, { groupId: org, protocol: 'oidc' }),
      caller.query(group.listConnections, { where: { groupId: org }, paginationOpts }),
      caller.query(group.listAudit, { groupId: org, paginationOpts }),
      caller.query(group.getPolicy, { groupId: org }),
    ].map((call) => call.then(() => 'yes', (error) => error.data.code)));
    return tried.map((code) => ({ yes: 'yes', MISSING_GRANTS: 'no' })[code] ?? code).join(' ');
  };
  await world.json('role', 'create', '--org', org, '--name', 'auditor', '--grant', 'connection.audit.read');
  const issue = async (...whom) => (await world.json('token', 'issue', '--org', org, ...whom)).access_token;
  for (const [role, answers] of [['owner', 'yes yes yes yes'], ['admin', 'yes yes yes yes'], ['viewer', 'no yes yes no'], ['member', 'no no no no'], ['auditor', 'no no yes no']]) {
    assert.equal(await may(await issue('--role', role)), answers, role);
  }
  assert.notEqual((await world.run('token', 'issue', '--org', org, '--role', 'nobody')).code, 0);

  // a key: its grants, until it is revoked or over
  const key = await world.json('api-key', 'create', '--org', org, '--name', 'reader', '--grant', 'connection.read,connection.policy.manage');
  assert.equal(await may(key.key), 'no yes no yes');
  await world.json('api-key', 'revoke', key.id);
  assert.equal(await may(key.key), Array(4).fill('NOT_SIGNED_IN').join(' '));
  const short = await world.json('api-key', 'create', '--org', org, '--name', 'short', '--grant', '*', '--expires-at', new Date(Date.now() + 2000).toISOString());
  assert.equal(await may(short.key), 'yes yes yes yes');
  await new Promise((done) => setTimeout(done, 2100));
  assert.equal(await may(short.key), Array(4).fill('NOT_SIGNED_IN').join(' '));

  // a trusted issuer's token: a stranger has no role, a member the roles that they were given
  const { id, sign } = await trusted(org);
  const token = await sign();
  assert.equal(await may(token), 'no no no no');
  const who = await (await fetch(`${world.url}/v1/identity`, { headers: { authorization: `Bearer ${token}` } })).json();
  await world.json('member', 'set-role', who.userId, '--org', org, '--role', 'viewer');
  assert.equal(await may(token), 'no yes yes no');
  assert.equal(await may(await issue('--user', who.userId)), 'no yes yes no');
  const nobody = Array(4).fill('NOT_SIGNED_IN').join(' ');
  const stranger = (await generateKeyPair('ES256')).privateKey;
  for (const [what, bad] of [['audience', { aud: 'other' }], ['issuer', { iss: 'https://evil.test' }], ['time', { exp: Math.floor(Date.now() / 1000) - 3600 }], ['key', { key: stranger }]]) {
    assert.equal(await may(await sign(bad)), nobody, what);
  }
  assert.equal(await may(`${token}x`), nobody);
  await world.json('issuer', 'delete', id);
  assert.equal(await may(token), nobody, 'an issuer that is trusted no more');
});

shows('Convex: an unknown function and one of another kind are the client\'s usual errors', async () => {
  const { client: caller, org } = own;
  for (const call of [
    () => caller.query(group.nothing, {}),
    () => caller.query(anyApi.nowhere.at.all, {}),
    () => caller.query(group.createConnection, { groupId: org, protocol: 'oidc' }),
    () => caller.mutation(group.getPolicy, { groupId: org }),
  ]) {
    const error = await call().then(() => assert.fail('it answered'), (caught) => caught);
    assert.ok(error instanceof Error && !(error instanceof ConvexError));
    assert.match(error.message, /Could not find public function|Trying to execute/);
  }
});

shows('Convex: on the wire a failure is 560, and pages of registered apps alone may read it', async () => {
  const ask = (body, headers = {}) => fetch(`${world.url}/api/query`, {
    method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(body),
  });
  const answer = await ask({ path: 'auth/group:getPolicy', format: 'convex_encoded_json', args: [{}] });
  assert.equal(answer.status, 560);
  const body = await answer.json();
  assert.deepEqual(Object.keys(body).sort(), ['errorData', 'errorMessage', 'logLines', 'status']);
  const found = await ask({ path: 'auth/group:signInLookup', format: 'convex_encoded_json', args: [{ domain: 'nobody.test' }] });
  assert.deepEqual(await found.json(), { status: 'success', value: null, logLines: [] });
  await world.json('app', 'create', '--org', own.org, '--name', 'Page', '--redirect-uri', 'http://127.0.0.1:5173/cb', '--origin', 'http://127.0.0.1:5173');
  const cors = async (origin) => (await ask({ path: 'auth/group:signInLookup', args: [{ domain: 'x.test' }] }, { origin })).headers.get('access-control-allow-origin');
  assert.equal(await cors('http://127.0.0.1:5173'), 'http://127.0.0.1:5173');
  assert.equal(await cors('https://evil.test'), null);
  const preflight = await fetch(`${world.url}/api/mutation`, { method: 'OPTIONS', headers: {
    origin: 'http://127.0.0.1:5173', 'access-control-request-method': 'POST', 'access-control-request-headers': 'authorization,content-type,convex-client' } });
  assert.equal(preflight.status, 204);
  assert.match(preflight.headers.get('access-control-allow-headers'), /convex-client/);
});
