// Provisioning, with an independent tester of SCIM servers (PyPI scim2-tester) as the directory.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { after, before } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { OUT, World, rows, shows } from '../world.mjs';

const python = process.env.AUTHD_LAB_PYTHON ?? path.join(OUT, 'python/bin/python');
const tester = fileURLToPath(new URL('../scim_tester.py', import.meta.url));
const skip = fs.existsSync(python) ? false : `no ${python}: tests/run makes it`;

let world;
let org;
before(async () => {
  world = await World.start({ provider: false });
  org = (await world.json('org', 'create', '--name', 'Aperture')).id;
});
after(() => world?.stop());

async function check(url, token) {
  const { stdout } = await promisify(execFile)(python, [tester, url, token], { maxBuffer: 1 << 24 });
  return JSON.parse(stdout);
}

shows('SCIM: every check of scim2-tester is green, at both addresses', { skip }, async () => {
  const connection = (await world.json('connection', 'create', '--org', org, '--protocol', 'oidc', '--name', 'Okta')).id;
  const own = await world.json('scim', 'token', 'create', '--org', org);
  const bound = await world.json('scim', 'token', 'create', '--org', org, '--connection', connection);
  assert.match(own.id, /^sct_[0-9a-z]{26}$/);
  for (const [url, token] of [[`${world.url}/scim/v2`, own.token], [`${world.url}/connections/${connection}/scim/v2`, bound.token]]) {
    const found = await check(url, token);
    assert.deepEqual(found.not_green, [], url);
    assert.ok(found.results >= 130, JSON.stringify(found));
  }
  const tokens = rows(await world.json('scim', 'token', 'list', '--org', org));
  assert.equal(tokens.length, 2);
  assert.ok(tokens.every((token) => token.lastUsedAt && !JSON.stringify(token).includes(own.token)));
  const log = JSON.stringify(world.log);
  assert.ok(!log.includes(own.token) && !log.includes(bound.token), 'no token in the log');
});

shows('SCIM: a token that is revoked opens nothing at the next request', async () => {
  const { id, token } = await world.json('scim', 'token', 'create', '--org', org, '--label', 'short', '--expires-in', '1h');
  const ask = () => fetch(`${world.url}/scim/v2/Users?count=1`, { headers: { authorization: `Bearer ${token}` } });
  assert.equal((await ask()).status, 200);
  await world.json('scim', 'token', 'revoke', id);
  const refused = await ask();
  assert.equal(refused.status, 401);
  assert.equal((await refused.json()).schemas[0], 'urn:ietf:params:scim:api:messages:2.0:Error');
});
