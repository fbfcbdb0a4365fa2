// A second relying party, by other hands: PyPI authlib, which checks everything by itself.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import readline from 'node:readline';
import { after, before } from 'node:test';
import { Person, World, shows } from '../world.mjs';

// `tests/run` makes it from authlib/requirements.txt.
const python = process.env.AUTHD_LAB_PYTHON ?? '';
const skip = !(python && fs.existsSync(python)) && 'authlib is not installed (tests/run does it; AUTHD_LAB_PYTHON names an interpreter that has it)';

let world;
let cast;
before(async () => {
  if (skip) return;
  world = await World.start();
  cast = await world.cast({ domain: 'a.test', name: 'Aperture' });
});
after(() => world?.stop());

for (const alg of ['ES256', 'RS256']) {
  shows(`authlib signs a person in, refreshes, introspects and revokes (${alg})`, { skip }, async () => {
    const redirectUri = 'https://python.example.test/cb';
    const made = await world.json('app', 'create', '--org', cast.org, '--name', `Python ${alg}`, '--redirect-uri', redirectUri, '--alg', alg);
    const script = path.join(import.meta.dirname ?? path.dirname(new URL(import.meta.url).pathname), '../authlib/rp.py');
    const child = spawn(python, [script], { stdio: ['pipe', 'pipe', 'pipe'] });
    let errors = '';
    child.stderr.setEncoding('utf8').on('data', (text) => { errors += text; });
    const lines = readline.createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const next = async () => {
      const { value, done } = await lines.next();
      assert.ok(!done, `authlib ended: ${errors}`);
      return JSON.parse(value);
    };
    child.stdin.write(`${JSON.stringify({ issuer: world.url, clientId: made.clientId, clientSecret: made.clientSecret, redirectUri })}\n`);
    const { url } = await next();
    const page = await new Person('ada@a.test').signIn(new URL(url), { until: redirectUri });
    assert.ok(page.location, String(page));
    child.stdin.end(`${JSON.stringify({ url: page.location.href })}\n`);
    const result = await next();
    assert.equal(result.error, undefined);
    assert.equal(result.claims.email, 'ada@a.test');
    assert.equal(result.claims.aud, made.clientId);
    assert.notEqual(result.foreignNonce, 'taken');
    assert.equal(result.userinfo.sub, result.claims.sub);
    assert.ok(result.rotated, 'a refresh token is used once');
    assert.equal(result.introspected.active, true);
    assert.equal(result.introspected.sub, result.claims.sub);
    assert.equal(result.revoked, 200);
    assert.deepEqual(result.after, { active: false });
  });
}
