// One world a test lives in: a temporary data directory, authd, a provider, apps; configured only by the CLI.
//
//   let world; before(async () => { world = await World.start(); }); after(() => world.stop());
//   shows('a person …', async () => { const { app } = await world.ready(); … });
//
// The binary is $AUTHD_BIN, else target/debug/authd of this repository.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { startApp } from './app.mjs';
import { PASSWORD, secretOf, startProvider } from './provider.mjs';
import { Walker } from './walk.mjs';
import { freePort } from './web.mjs';
import { Wire } from './wire.mjs';

export const REPOSITORY = fileURLToPath(new URL('../..', import.meta.url));
export const AUTHD = process.env.AUTHD_BIN ?? path.join(process.env.CARGO_TARGET_DIR ?? path.join(REPOSITORY, 'target'), 'debug/authd');
/** Where pictures and logs of failures go; kept after the run, never committed. */
export const OUT = process.env.AUTHD_LAB_OUT ?? path.join(REPOSITORY, 'target/lab');

const alive = new Set();
process.on('exit', () => alive.forEach((child) => child.kill('SIGKILL')));

// a handle that a failed test left open must not keep the whole run waiting
after(() => setTimeout(() => process.exit(), 3000).unref());

const worlds = new Set();

/** A test, named for what it shows. When it fails, the last lines of the log of each authd are added to the failure. */
export function shows(name, options, body) {
  if (typeof options === 'function') [options, body] = [{}, options];
  test(name, { timeout: 120_000, ...options }, async (t) => {
    try {
      await body(t);
    } catch (error) {
      const logs = [...worlds].map((w) => w.excerpt()).join('\n');
      if (error instanceof Error && logs) error.stack += `\n${logs}`;
      throw error;
    }
  });
}

export class World {
  apps = [];
  people = [];
  log = [];

  /** `provider: false` leaves the identity provider out, `serve: false` leaves authd stopped. */
  static async start({ provider = true, serve = true, args = [] } = {}) {
    const world = new World();
    worlds.add(world);
    world.root = fs.mkdtempSync(path.join(os.tmpdir(), 'authd-lab-'));
    world.dataDir = path.join(world.root, 'data');
    world.port = await freePort();
    world.url = `http://127.0.0.1:${world.port}`;
    world.args = args;
    world.providers = [];
    try {
      if (provider) world.op = await world.provider();
      if (serve) await world.serve();
    } catch (error) {
      await world.stop().catch(() => {});
      throw error;
    }
    return world;
  }

  /** One more identity provider. Start it before `serve`, so that authd is allowed to call it. */
  async provider(options) {
    const op = await startProvider(options);
    this.providers.push(op);
    return op;
  }

  serveArgs() {
    return ['serve', '--data-dir', this.dataDir, '--listen', `127.0.0.1:${this.port}`, '--public-url', this.url,
      ...this.providers.flatMap((op) => ['--outbound-allow', `127.0.0.1:${op.port}`]), ...this.args];
  }

  /** Starts authd and waits until it is ready; answers the milliseconds that took. */
  async serve() {
    const began = performance.now();
    this.child = spawn(AUTHD, this.serveArgs(), { stdio: ['ignore', 'pipe', 'pipe'], env: cleanEnv(), cwd: this.root });
    alive.add(this.child);
    const { child } = this;
    this.exited = new Promise((done) => {
      child.once('error', (error) => done({ error }));
      child.once('exit', (code, signal) => done({ code, signal }));
    }).finally(() => alive.delete(child));
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => this.log.push(...text.split('\n').filter(Boolean)));
    }
    let gone;
    this.exited.then((how) => { gone = how; });
    for (let left = 2000; left > 0; left -= 1) {
      if (gone) throw new Error(`authd ended while starting: ${JSON.stringify(gone.error ? String(gone.error) : gone)}\n${this.excerpt()}`);
      const answer = await fetch(`${this.url}/readyz`).catch(() => undefined);
      await answer?.body?.cancel();
      if (answer?.ok) return performance.now() - began;
      await sleep(10);
    }
    throw new Error(`authd was not ready after 20 s\n${this.excerpt()}`);
  }

  /** Stops authd with `signal` and answers how it ended. */
  async halt(signal = 'SIGTERM') {
    if (!this.child) return undefined;
    this.child.kill(signal);
    const how = await Promise.race([this.exited, sleep(8000, undefined, { ref: false })]);
    if (!how) {
      this.child.kill('SIGKILL');
      throw new Error(`authd did not stop within 8 s of ${signal}`);
    }
    this.child = undefined;
    return how;
  }

  async stop() {
    worlds.delete(this);
    try {
      await this.halt();
    } finally {
      await Promise.all([...this.apps, ...this.providers].map((server) => server.close()));
      fs.rmSync(this.root, { recursive: true, force: true });
    }
  }

  /** Runs a verb: `world.run('org', 'list')`. Answers code, stdout, stderr; judges nothing. */
  run(...args) {
    return run(['--data-dir', this.dataDir, ...args], { cwd: this.root });
  }

  /** Runs a verb with `--json` that has to succeed, and answers what it printed. */
  async json(...args) {
    const { code, stdout, stderr } = await this.run(...args, '--json');
    assert.equal(code, 0, `authd ${args.join(' ')} ended with ${code}: ${stderr || stdout}`);
    try {
      return JSON.parse(stdout);
    } catch {
      assert.fail(`authd ${args.join(' ')} --json printed no JSON: ${stdout}`);
    }
  }

  async organization(name) {
    return (await this.json('org', 'create', '--name', name)).id;
  }

  /** An active connection to a provider, with its domain vouched for. `more` are further arguments of `connection create`. */
  async connection({ org, op = this.op, client = 'basic', domain, verify = true, name = 'Provider', more = [] }) {
    const secret = secretOf(client);
    const { id } = await this.json('connection', 'create', '--org', org, '--protocol', 'oidc', '--name', name, '--issuer', op.issuer,
      '--client-id', client, ...(secret ? ['--client-secret', secret] : []), ...(domain ? ['--domain', domain] : []),
      ...more, '--activate');
    op.allow(this.callback(id));
    if (domain && verify) await this.json('domain', 'verify', '--connection', id, '--domain', domain, '--force');
    return id;
  }

  /** Whether there is an operation of that name. */
  async serves(operation) {
    return (await (await fetch(`${this.url}/openapi.json`)).text()).includes(`"${operation}"`);
  }

  callback(connection) {
    return `${this.url}/connections/${connection}/oidc/callback`;
  }

  /** A web server of an app that nobody has registered yet: begun before `serve`, authd can be allowed to call it. */
  async appServer() {
    const app = await startApp();
    this.apps.push(app);
    return app;
  }

  /** A registered app that runs, at `server` or at one of its own. `more` are further arguments of `app create`. */
  async app({ org, name = 'App', organizations, auth, idTokenAlg, server, more = [] }) {
    const app = server ?? await this.appServer();
    const made = await this.json('app', 'create', '--org', org, '--name', name, '--redirect-uri', app.redirectUri,
      ...(organizations ? ['--organizations', organizations] : []), ...(auth === 'none' ? ['--public'] : []),
      ...(idTokenAlg ? ['--alg', idTokenAlg] : []), ...more);
    await app.configure({ issuer: this.url, clientId: made.clientId, clientSecret: made.clientSecret, auth, idTokenAlg });
    app.clientSecret = made.clientSecret;
    app.wire = new Wire({ issuer: this.url, clientId: made.clientId, clientSecret: made.clientSecret, redirectUri: app.redirectUri, auth });
    return app;
  }

  /** The usual cast: one organization, one connection that owns `domain`, one app. */
  async cast({ domain, client, app = {}, name = domain, more } = {}) {
    const org = await this.organization(name);
    const connection = await this.connection({ org, client, domain, more });
    return { org, connection, domain, app: await this.app({ org, ...app }) };
  }

  /** The last lines of the log, for a failure. */
  excerpt(lines = 15) {
    return [`--- authd ${this.url}, last ${lines} lines of its log`, ...this.log.slice(-lines).map(short), '---'].join('\n');
  }
}

/** A line of authd's JSON log as one that can be read; any other line as it is. */
function short(line) {
  try {
    const { timestamp, level, message, target, span = {}, ...fields } = JSON.parse(line);
    const { method = '', path: at = '', request_id: request = '' } = span;
    return [timestamp.slice(11, 23), level, method, at, request, message, ...Object.entries(fields).map(([k, v]) => `${k}=${JSON.stringify(v)}`)].filter(Boolean).join(' ');
  } catch {
    return line;
  }
}

/** Runs authd once. */
export function run(args, { cwd, env = {}, input, timeout = 30_000 } = {}) {
  return new Promise((done, fail) => {
    const child = spawn(AUTHD, args, { stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'], env: { ...cleanEnv(), ...env }, cwd });
    alive.add(child);
    const out = { code: null, stdout: '', stderr: '' };
    child.stdout.setEncoding('utf8').on('data', (text) => { out.stdout += text; });
    child.stderr.setEncoding('utf8').on('data', (text) => { out.stderr += text; });
    if (input !== undefined) child.stdin.end(input);
    const timer = setTimeout(() => child.kill('SIGKILL'), timeout);
    child.once('error', fail);
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      alive.delete(child);
      done({ ...out, code, signal });
    });
  });
}

/** The environment without what would configure authd or colour its output. */
function cleanEnv() {
  const kept = Object.entries(process.env).filter(([name]) => !name.startsWith('AUTHD_') && !/_proxy$/i.test(name));
  return { ...Object.fromEntries(kept), NO_COLOR: '1' };
}

/** A person at a keyboard: follows a sign-in from any address to wherever it ends. */
export class Person extends Walker {
  constructor(email, { login = email, ...options } = {}) {
    super(options);
    Object.assign(this, { email, login });
  }

  /**
   * Walks from `start` over the e-mail page and the provider's pages. Ends at the app's page, at a page that asks nothing
   * of these, or, when `until` is given, at the redirect to an address that starts with it (not followed).
   */
  async signIn(start, { until, email = this.email, answer = 'ok', password = PASSWORD } = {}) {
    const stop = until ? (url) => url.href.startsWith(until) : undefined;
    this.forms = [];
    let page = await this.open(start, { stop });
    for (let hop = 0; hop < 8 && !page.location; hop += 1) {
      const form = page.forms[0];
      if (form?.names.has('login') && form.names.has('password')) {
        this.forms.push('login');
        page = await page.submit({ login: this.login, password }, { button: answer, stop });
      } else if (form?.button('deny')) {
        this.forms.push('consent');
        page = await page.submit({}, { button: answer, stop });
      } else if (page.status === 200 && form?.controls.some((c) => c.type === 'email')) {
        this.forms.push('email');
        page = await page.submit({ [form.controls.find((c) => c.type === 'email').name]: email }, { stop });
      } else {
        break;
      }
      if (!page.location && this.forms.length > 5) break;
    }
    return page;
  }

  /** Signs in to the test app and answers its result, which must be good. */
  async into(app, parameters = {}) {
    const page = await this.signIn(app.loginUrl(parameters));
    const { result } = page;
    assert.ok(result.ok, `the app refused: ${result.error} ${result.description}`);
    return result;
  }
}

/** The rows of a list that the CLI printed, bare or under one name. */
export const rows = (json) => (Array.isArray(json) ? json : Object.values(json).find(Array.isArray));

/** Asserts that a page is a refusal in words: the code, a request id, no redirect; and answers the request id. */
export function assertRefused(page, code, status) {
  assert.equal(page.location, undefined, `redirected to ${page.location}`);
  assert.ok(status === undefined ? (page.status >= 400 && page.status < 500) || page.status === 502 : page.status === status, `${page}`);
  assert.match(page.headers.get('content-type'), /^text\/html/);
  assert.match(page.text, code instanceof RegExp ? code : new RegExp(`\\b${code}\\b`), `${page}`);
  const requestId = /\breq_[0-9a-z]{26}\b/.exec(page.html)?.[0];
  assert.ok(requestId, `no request id on ${page}`);
  return requestId;
}
