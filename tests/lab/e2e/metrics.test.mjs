// What is measured, read by the reference parser of the format; what the operator is told of health; where the log goes.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import path from 'node:path';
import { after, before } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort, listen } from '../web.mjs';
import { OUT, Person, World, shows } from '../world.mjs';

const python = process.env.AUTHD_LAB_PYTHON ?? path.join(OUT, 'python/bin/python');
const noParser = fs.existsSync(python) ? false : `no ${python}: tests/run makes it`;
const TOKEN = 'a-token-of-this-test-0123456789';

let world;
let cast;
let collector;
let syslog;

/** A collector of OpenTelemetry and a receiver of syslog: what they have, by number. */
async function startCollector() {
  const seen = [];
  const server = http.createServer((req, res) => {
    const parts = [];
    req.on('data', (part) => parts.push(part)).on('end', () => {
      const records = JSON.parse(Buffer.concat(parts).toString()).resourceLogs[0].scopeLogs[0].logRecords;
      seen.push(...records.map((record) => Number(record.attributes.find((each) => each.key === 'authd.seq').value.intValue)));
      res.writeHead(200, { 'content-type': 'application/json' }).end('{}');
    });
  });
  const port = await listen(server, 0);
  return { port, seen, close: () => { server.close(); server.closeAllConnections(); } };
}

async function startSyslog() {
  const seen = [];
  const server = net.createServer((socket) => {
    const parts = [];
    socket.on('data', (part) => parts.push(part)).on('error', () => {}).on('end', () => {
      let rest = Buffer.concat(parts);
      while (rest.length) {
        const space = rest.indexOf(32);
        const length = Number(rest.subarray(0, space));
        seen.push(Number(/ seq="(\d+)"/.exec(rest.subarray(space + 1, space + 1 + length).toString())[1]));
        rest = rest.subarray(space + 1 + length);
      }
    });
  });
  const port = await listen(server, 0);
  return { port, seen, close: () => server.close() };
}

before(async () => {
  collector = await startCollector();
  syslog = await startSyslog();
  const file = path.join(fs.mkdtempSync(path.join(OUT, 'metrics-')), 'token');
  fs.writeFileSync(file, `${TOKEN}\n`);
  const port = await freePort();
  world = await World.start({
    args: ['--metrics-token-file', file, '--metrics-listen', `127.0.0.1:${port}`,
      '--ship-otlp', `http://127.0.0.1:${collector.port}/v1/logs`, '--ship-syslog', `tcp://127.0.0.1:${syslog.port}`,
      '--outbound-allow', `127.0.0.1:${collector.port}`, '--outbound-allow', `127.0.0.1:${syslog.port}`],
  });
  world.metrics = `http://127.0.0.1:${port}/metrics`;
  cast = await world.cast({ domain: 'a.test', name: 'Aperture' });
});
after(async () => {
  await world?.stop();
  collector?.close();
  syslog?.close();
});

const bearer = (token) => ({ headers: { authorization: `Bearer ${token}` } });

shows('metrics: the reference parser reads the page, and a sign-in is in it', { skip: noParser }, async () => {
  await new Person('ada@a.test').into(cast.app);
  const answer = await fetch(`${world.url}/metrics`, bearer(TOKEN));
  assert.equal(answer.status, 200);
  const file = path.join(OUT, 'metrics.txt');
  fs.writeFileSync(file, await answer.text());
  const script = 'import json, sys\nfrom prometheus_client.parser import text_string_to_metric_families as parse\n'
    + 'print(json.dumps([[s.name, s.labels, s.value] for f in parse(open(sys.argv[1]).read()) for s in f.samples]))';
  const { stdout } = await new Promise((done, failed) => execFile(python, ['-c', script, file], { maxBuffer: 1 << 24 },
    (error, out, err) => (error ? failed(new Error(err)) : done({ stdout: out }))));
  const samples = JSON.parse(stdout);
  const of = (name, labels = {}) => samples.filter(([is, has]) => is === name && Object.entries(labels).every(([k, v]) => has[k] === v));
  assert.equal(of('authd_signins_total', { connection: cast.connection, outcome: 'success' })[0][2], 1);
  assert.equal(of('authd_signin_duration_seconds_count', { protocol: 'oidc' })[0][2], 1);
  assert.ok(of('process_resident_memory_bytes')[0][2] > 1e6);
  assert.ok(of('authd_store_file_bytes')[0][2] > 0 && of('authd_disk_free_bytes')[0][2] > 0);
  assert.ok(of('authd_store_commit_duration_seconds_count')[0][2] > 3);
});

shows('metrics: nobody reads them without the token, at either address', async () => {
  for (const url of [`${world.url}/metrics`, world.metrics]) {
    for (const options of [{}, bearer('wrong'), bearer(`${TOKEN}x`)]) assert.equal((await fetch(url, options)).status, 401, url);
    assert.equal((await fetch(url, bearer(TOKEN))).status, 200, url);
  }
});

shows('shipping: two receivers have every event in order, also after authd was killed', async () => {
  for (let round = 0; round < 3; round += 1) {
    for (let n = 0; n < 5; n += 1) await world.organization(`More ${round} ${n}`);
    await world.halt('SIGKILL');
    await world.serve();
  }
  const { items } = await world.json('audit', 'list', '--limit', '1');
  const last = items[0].seq;
  for (const [name, { seen }] of Object.entries({ collector, syslog })) {
    for (let left = 300; !seen.includes(last) && left > 0; left -= 1) await sleep(100);
    const fresh = seen.filter((seq, at) => seen.indexOf(seq) === at);
    const until = fresh.indexOf(last) + 1;
    assert.deepEqual(fresh.slice(0, until), Array.from({ length: last }, (_, n) => n + 1), name);
  }
  const health = await world.json('health');
  assert.equal(health.checks.find((check) => check.name === 'shipping').ok, true, JSON.stringify(health));
});

shows('health: the operator hears the reason, the public that there is one', async () => {
  const soon = new Date(Date.now() + 86_400_000).toISOString();
  await world.json('api-key', 'create', '--org', cast.org, '--name', 'ends', '--grant', 'connection.read', '--expires-at', soon);
  await sleep(2500);
  const told = await world.run('health', '--json');
  const document = JSON.parse(told.stdout);
  // What ends is looked for once a minute; the first look was before.
  if (document.status === 'degraded') {
    assert.equal(told.code, 1);
    assert.equal(document.checks.find((check) => check.name === 'expiring').code, 'expiring');
  }
  const answer = await fetch(`${world.url}/readyz`);
  assert.equal(answer.status, 200);
  assert.doesNotMatch(await answer.text(), /expiring|api_key|shipping/);
});
