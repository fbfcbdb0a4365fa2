// Receivers and senders of webhooks as teams write them: npm `svix` and `standardwebhooks`, and the same from PyPI.
import { spawn } from 'node:child_process';
import http from 'node:http';
import readline from 'node:readline';
import { fileURLToPath } from 'node:url';
import { Webhook as Svix } from 'svix';
import { Webhook as Standard } from 'standardwebhooks';
import { listen } from './web.mjs';

const FAMILIES = { svix: Svix, standard: Standard };
const prefixOf = { svix: 'svix', standard: 'webhook' };

/** What a library says to a message: `ok`, or why not. It sees the headers of its own family alone. */
export function verdict(library, secret, body, headers) {
  const own = Object.fromEntries(Object.entries(headers).filter(([name]) => name.startsWith(`${prefixOf[library]}-`)));
  try {
    new FAMILIES[library](secret).verify(body, own);
    return 'ok';
  } catch (error) {
    return `refused: ${error.message}`;
  }
}

/** A receiver in this process. `receiver.heard` has what came: id, headers, raw body, and what both libraries say. */
export async function startReceiver({ port = 0, status = () => 204 } = {}) {
  const receiver = { heard: [], secrets: [] };
  const server = http.createServer((req, res) => {
    const chunks = [];
    req.on('data', (chunk) => chunks.push(chunk));
    req.on('end', () => {
      const body = Buffer.concat(chunks).toString('utf8');
      const says = (library) => (receiver.secrets.some((secret) => verdict(library, secret, body, req.headers) === 'ok') ? 'ok' : 'refused');
      const heard = { id: req.headers['webhook-id'], headers: req.headers, body, svix: says('svix'), standard: says('standard') };
      receiver.heard.push({ ...heard, json: JSON.parse(body) });
      res.statusCode = heard.svix === 'ok' && heard.standard === 'ok' ? status(heard) : 400;
      res.end();
    });
  });
  receiver.port = await listen(server, port);
  receiver.url = `http://127.0.0.1:${receiver.port}/hooks`;
  receiver.close = () => new Promise((done) => { server.close(done); server.closeAllConnections(); });
  return receiver;
}

/** The receiver in Python. `receiver.heard` has its verdicts. */
export async function startPythonReceiver(python, secrets) {
  const script = fileURLToPath(new URL('webhook_receiver.py', import.meta.url));
  const child = spawn(python, [script], { stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, SECRET: secrets.join(' ') } });
  const receiver = { heard: [], close: () => new Promise((done) => { child.once('exit', done); child.kill(); }) };
  process.once('exit', () => child.kill('SIGKILL'));
  await new Promise((ready, fail) => {
    child.once('exit', (code) => fail(new Error(`the receiver ended with ${code}`)));
    readline.createInterface({ input: child.stdout }).on('line', (line) => {
      const said = JSON.parse(line);
      if (said.port) {
        receiver.port = said.port;
        receiver.url = `http://127.0.0.1:${said.port}/hooks`;
        ready();
      } else {
        receiver.heard.push(said);
      }
    });
  });
  return receiver;
}

/** Sends a message as a service does whose library is `svix` or `standard`; `change` spoils it first. */
export async function send(url, library, secret, body, { id = `msg_${Math.random().toString(36).slice(2)}`, at = new Date(), change } = {}) {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  const prefix = prefixOf[library];
  const message = {
    body: text,
    headers: {
      'content-type': 'application/json',
      [`${prefix}-id`]: id,
      [`${prefix}-timestamp`]: String(Math.floor(at.getTime() / 1000)),
      [`${prefix}-signature`]: new FAMILIES[library](secret).sign(id, at, text),
    },
  };
  change?.(message, prefix);
  const answer = await fetch(url, { method: 'POST', headers: message.headers, body: message.body });
  return { status: answer.status, json: await answer.json().catch(() => undefined), id };
}
