// The verbs: with a running server, on the store itself, and when something is wrong.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before } from 'node:test';
import { Person, World, rows, run, shows } from '../world.mjs';
import { decode } from '../wire.mjs';

let world;
let cast;
before(async () => {
  world = await World.start();
  cast = await world.cast({ domain: 'a.test', name: 'Aperture' });
});
after(() => world?.stop());

function assertError({ code, stdout, stderr }, pattern = /./, { help = true } = {}) {
  assert.equal(code, 1, `ended with ${code}: ${stderr}${stdout}`);
  assert.match(stderr, /^error: \S/m);
  if (help) assert.match(stderr, /^\s*help: \S/m);
  assert.match(stderr, pattern);
  assert.doesNotMatch(stderr, /panicked|RUST_BACKTRACE|src\/\w+.*\.rs:\d+/);
}

shows('CLI: what every verb prints with --json is JSON', async () => {
  const { org, connection } = cast;
  await new Person('ada@a.test').into(cast.app);
  assert.match(org, /^org_[0-9a-z]{26}$/);
  assert.match(connection, /^conn_[0-9a-z]{26}$/);
  assert.ok(rows(await world.json('org', 'list')).some((o) => o.id === org && o.name === 'Aperture'));
  assert.ok(rows(await world.json('connection', 'list', '--org', org)).some((c) => c.id === connection));
  const seen = await world.json('connection', 'get', connection);
  assert.equal(seen.id, connection);
  assert.ok(!JSON.stringify(seen).includes('a-long-enough-client-secret'), 'secrets are write-only');
  const status = await world.json('connection', 'status', connection);
  assert.equal(status.ready, true, JSON.stringify(status));
  const valid = await world.json('connection', 'validate', connection);
  assert.equal(valid.ok, true, JSON.stringify(valid));
  const names = valid.checks.map((c) => c.name);
  for (const name of ['oidc_configured', 'client_id_present', 'client_secret_stored', 'issuer_or_discovery_url_present', 'discovery_reachable',
    'token_endpoint_auth_method_supported', 'jwks_uri_present', 'audience_valid']) assert.ok(names.includes(name), `${name} is not checked: ${names}`);
  await world.json('connection', 'test', connection);
  const users = rows(await world.json('user', 'list', '--org', org));
  assert.equal(users.length, 1);
  await world.json('user', 'get', users[0].id, '--org', org);
  assert.equal(rows(await world.json('session', 'list', '--org', org)).length, 1);
  const counts = await world.json('counts');
  for (const kind of ['users', 'sessions', 'connections', 'traces']) assert.ok(counts[kind] >= 1, `counts lacks ${kind}: ${JSON.stringify(counts)}`);
});

shows('CLI: without --json it prints for people, without colour under NO_COLOR', async () => {
  for (const args of [['org', 'list'], ['connection', 'list', '--org', cast.org], ['connection', 'validate', cast.connection], ['counts']]) {
    const { code, stdout } = await world.run(...args);
    assert.equal(code, 0, args.join(' '));
    assert.ok(stdout.trim().length > 0 && !/^[[{]/.test(stdout), `${args.join(' ')}: ${stdout}`);
    assert.doesNotMatch(stdout, /\x1b/);
  }
});

shows('CLI: an error has the lines error: and help:, and the exit code 1', async () => {
  assertError(await world.run('connection', 'get', 'conn_00000000000000000000000000'), /./, { help: false });
  assertError(await world.run('connection', 'get', 'nonsense'), /conn_/, { help: false });
  assertError(await world.run('connection', 'create', '--org', cast.org, '--protocol', 'oidc', '--name', 'x', '--issuer', 'http://127.0.0.1:1', '--client-id', 'x', '--client-secret', 'y', '--activate'), /outbound/);
  assertError(await world.run('app', 'create', '--org', cast.org, '--name', 'x', '--redirect-uri', 'not a uri'), /return address|redirect/i, { help: false });
});

shows('CLI: a misspelt verb or flag is an error of yours (1) with a proposal', async () => {
  for (const args of [['orgg', 'list'], ['org', 'lst'], ['org', 'create', '--nam', 'x'], ['org', 'create']]) {
    const { code, stderr } = await world.run(...args);
    assert.equal(code, 1, `${args.join(' ')} ended with ${code}`);
    assert.match(stderr, /^error: /m);
  }
});

shows('CLI: an error with --json is JSON too', async () => {
  const { code, stdout, stderr } = await world.run('connection', 'get', 'conn_00000000000000000000000000', '--json');
  assert.equal(code, 1);
  const text = stdout.trim() || stderr.trim();
  const error = JSON.parse(text);
  assert.ok(JSON.stringify(error).includes('not_found'), text);
});

shows('CLI: a private provider needs --outbound-allow, and the error names the setting', async () => {
  const { stderr } = await world.run('connection', 'create', '--org', cast.org, '--protocol', 'oidc', '--name', 'x', '--issuer', 'http://169.254.169.254', '--client-id', 'x', '--client-secret', 'y', '--activate');
  assert.match(stderr, /outbound|allow/);
});

shows('CLI: --data-dir is valid before and after the verb', async () => {
  const before = await run(['--data-dir', world.dataDir, 'org', 'list', '--json']);
  const behind = await run(['org', 'list', '--json', '--data-dir', world.dataDir]);
  assert.equal(behind.code, 0, behind.stderr);
  assert.equal(behind.stdout, before.stdout);
});

shows('CLI: a second serve on the same data directory refuses in words', async () => {
  const second = await run(['serve', '--data-dir', world.dataDir, '--listen', '127.0.0.1:0', '--public-url', 'http://127.0.0.1:1']);
  assertError(second, /data directory|another authd/i);
  assert.equal((await fetch(`${world.url}/healthz`)).status, 200, 'the first one goes on');
});

shows('CLI: serve on a port that is taken refuses in words', async () => {
  const other = path.join(world.root, 'other');
  assertError(await run(['serve', '--data-dir', other, '--listen', `127.0.0.1:${world.port}`, '--public-url', world.url]), /listen/i);
});

shows('CLI: verbs work on the store when no server runs, and the server sees what they did', async () => {
  const lone = await World.start({ provider: false, serve: false });
  try {
    const org = await lone.organization('Before');
    assert.ok(rows(await lone.json('org', 'list')).some((o) => o.id === org));
    const app = await lone.json('app', 'create', '--org', org, '--name', 'App', '--redirect-uri', 'https://app.example.test/cb');
    assert.ok(app.clientId && app.clientSecret);
    await lone.serve();
    assert.ok(rows(await lone.json('org', 'list')).some((o) => o.id === org));
    const during = await lone.organization('During');
    await lone.halt();
    const after = rows(await lone.json('org', 'list')).map((o) => o.id);
    assert.deepEqual([org, during].filter((id) => !after.includes(id)), []);
  } finally {
    await lone.stop();
  }
});

shows('CLI: a socket left behind by a killed server is no obstacle', async () => {
  const lone = await World.start({ provider: false });
  try {
    const org = await lone.organization('Before');
    await lone.halt('SIGKILL');
    assert.ok(rows(await lone.json('org', 'list')).some((o) => o.id === org));
    await lone.serve();
    assert.ok(rows(await lone.json('org', 'list')).some((o) => o.id === org));
  } finally {
    await lone.stop();
  }
});

shows('CLI: what authd leaves in its data directory only its owner can read', async () => {
  assert.equal(fs.statSync(world.dataDir).mode & 0o077, 0, 'the directory');
  for (const name of fs.readdirSync(world.dataDir)) {
    const stat = fs.lstatSync(path.join(world.dataDir, name));
    assert.equal(stat.mode & 0o077, 0, name);
    if (stat.isFile() && /redb|db/.test(name)) {
      const bytes = fs.readFileSync(path.join(world.dataDir, name));
      for (const secret of ['a-long-enough-client-secret', cast.app.clientSecret]) assert.ok(!bytes.includes(secret), `a secret in clear in ${name}`);
    }
  }
});

shows('CLI: the API key that api-key create prints opens /v1, and only its own organization', async () => {
  const { id, key } = await world.json('api-key', 'create', '--org', cast.org, '--name', 'ci', '--grant', '*');
  assert.ok(id && key);
  const bearer = { authorization: `Bearer ${key}` };
  const description = await (await fetch(`${world.url}/openapi.json`)).json();
  assert.match(description.openapi, /^3\.1\./);
  const list = Object.keys(description.paths).find((p) => /connections$/.test(p) && description.paths[p].get);
  assert.ok(list, Object.keys(description.paths).join(' '));
  const url = (org) => `${world.url}${list}?organization=${org}`;
  const mine = await fetch(url(cast.org), { headers: bearer });
  assert.equal(mine.status, 200, await mine.clone().text());
  assert.ok(rows(await mine.json()).some((c) => c.id === cast.connection));
  const foreign = await world.organization('Foreign');
  const theirs = await fetch(url(foreign), { headers: bearer });
  assert.ok([403, 404].includes(theirs.status), String(theirs.status));
  const anonymous = await fetch(url(cast.org));
  assert.equal(anonymous.status, 401);
  assert.match(anonymous.headers.get('content-type'), /problem\+json/);
});

shows('CLI: token issue prints an access token of authd\'s own API', async () => {
  const { access_token: token } = await world.json('token', 'issue', '--org', cast.org, '--role', 'owner');
  const { header, payload } = decode(token);
  assert.equal(header.typ, 'at+jwt');
  assert.equal(payload.iss, world.url);
  assert.equal(payload.aud, `${world.url}/api`);
  assert.equal(payload.org_id, cast.org);
  assert.ok(payload.exp - payload.iat <= 3600);
});

shows('CLI: connection delete ends sign-in through it', async () => {
  const other = await world.cast({ domain: 'gone.test' });
  await new Person('ada@gone.test').into(other.app);
  await world.json('connection', 'delete', other.connection);
  const page = await new Person('ada@gone.test').signIn(other.app.loginUrl(), { until: world.op.issuer });
  assert.equal(page.location, undefined, String(page.location));
  assert.equal(rows(await world.json('session', 'list', '--org', other.org)).length, 0);
});

shows('CLI: an unknown key of the configuration file is an error with a proposal', async () => {
  const file = path.join(world.root, 'authd.toml');
  fs.writeFileSync(file, 'lissten = "127.0.0.1:1"\n');
  assertError(await run(['serve', '--config', file, '--data-dir', path.join(world.root, 'c')]), /did you mean.*listen|`listen`/is);
});

shows('CLI: every verb has a --help to learn from', async () => {
  const verbs = [[], ['serve'], ['org'], ['org', 'create'], ['org', 'list'], ['connection'], ['connection', 'create'], ['connection', 'list'], ['connection', 'get'],
    ['connection', 'validate'], ['connection', 'test'], ['connection', 'status'], ['connection', 'disable'], ['connection', 'delete'], ['domain', 'verify'],
    ['app', 'create'], ['api-key', 'create'], ['token', 'issue'], ['session', 'list'], ['session', 'revoke'], ['user', 'list'], ['user', 'get'], ['counts'], ['explain'], ['tui']];
  for (const verb of verbs) {
    const { code, stdout } = await run([...verb, '--help']);
    assert.equal(code, 0, verb.join(' '));
    assert.match(stdout, /usage/i, verb.join(' '));
    assert.ok(stdout.length > 120, `${verb.join(' ')} --help says little: ${stdout}`);
  }
  const { stdout } = await run(['connection', 'create', '--help']);
  for (const flag of ['--org', '--protocol', '--name', '--issuer', '--client-id', '--client-secret', '--domain', '--activate', '--json']) assert.ok(stdout.includes(flag), flag);
  assert.equal((await run(['--version'])).code, 0);
});
