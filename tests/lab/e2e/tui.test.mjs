// The dashboard in a real terminal (tmux): a session appears, is ended and goes; sizes; a killed server; a stopped program.
import assert from 'node:assert/strict';
import { after, before } from 'node:test';
import { Terminal, noTmux } from '../terminal.mjs';
import { AUTHD, Person, World, shows } from '../world.mjs';

let world;
let cast;
const terminals = [];
before(async () => {
  world = await World.start();
  cast = await world.cast({ domain: 'acme.test' });
});
after(async () => {
  await Promise.all(terminals.map((terminal) => terminal.close()));
  await world?.stop();
});

async function dashboard(options = {}, ...flags) {
  const terminal = await Terminal.open([AUTHD, 'tui', '--data-dir', world.dataDir, ...flags], { cwd: world.root, ...options });
  terminals.push(terminal);
  await terminal.sees('● live');
  return terminal;
}

const signIn = (email) => new Person(email).into(cast.app);

shows('a session appears when somebody signs in, is ended by a key after a question, and is gone', { skip: noTmux }, async () => {
  const terminal = await dashboard();
  await terminal.press('3');
  await terminal.sees('Nobody is signed in.');
  await signIn('ada@acme.test');
  await terminal.sees('ada@acme.test');
  await terminal.press('2');
  await terminal.sees(/in\s+ada@acme\.test/);
  await terminal.press('Enter');
  await terminal.sees('Waterfall');
  await terminal.press('Escape', '3', 'x');
  const question = await terminal.sees('End this?');
  assert.match(question, /ada@acme\.test/);
  await terminal.press('y');
  await terminal.sees('1 of 1 done');
  await terminal.press('Escape');
  await terminal.sees('Nobody is signed in.');
  const { items } = await world.json('audit', 'list', '--kind', 'session.invalidated');
  assert.equal(items[0].actorType, 'operator');
});

shows('any size is drawn, and the smallest says so', { skip: noTmux }, async () => {
  const terminal = await dashboard();
  await terminal.press('4');
  await terminal.sees('Connections');
  for (const [width, height] of [[160, 48], [41, 11], [200, 12], [80, 24]]) {
    await terminal.resize(width, height);
    await terminal.sees(/[╭+].*[╮+]/);
  }
  await terminal.resize(30, 8);
  await terminal.sees('too small');
  await terminal.resize(160, 48);
  await terminal.sees('For the provider');
});

shows('a killed server is told, and found again when it is back', { skip: noTmux }, async () => {
  const terminal = await dashboard();
  await world.halt('SIGKILL');
  await terminal.sees('reconnecting');
  await world.serve();
  await terminal.sees('● live');
  await signIn('grace@acme.test');
  await terminal.press('3');
  await terminal.sees('grace@acme.test');
});

shows('the terminal is given back: at the end, on a signal, and while it is stopped', { skip: noTmux }, async () => {
  const terminal = await dashboard();
  await terminal.press('q');
  const left = await terminal.sees('ended with 0');
  assert.doesNotMatch(left, /╭/);
  assert.match(await terminal.tmux('display', '-p', '#{alternate_on} #{mouse_any_flag} #{cursor_flag}'), /^0 0 1/);

  const signalled = await dashboard();
  const pid = (await signalled.tmux('display', '-p', '#{pane_pid}')).trim();
  await signalled.tmux('run-shell', `pkill -TERM -P ${pid}`);
  await signalled.sees('ended with 0');
  assert.match(await signalled.tmux('display', '-p', '#{alternate_on} #{mouse_any_flag} #{cursor_flag}'), /^0 0 1/);
});

shows('a read-only dashboard ends nothing', { skip: noTmux }, async () => {
  await signIn('alan@acme.test');
  const terminal = await dashboard({}, '--read-only');
  await terminal.press('3');
  await terminal.sees('alan@acme.test');
  assert.match(await terminal.screen(), /read-only/);
  await terminal.press('x', 'y');
  await terminal.sees('alan@acme.test');
});

shows('a server elsewhere is watched with an API key', { skip: noTmux }, async () => {
  const { key } = await world.json('api-key', 'create', '--org', cast.org, '--name', 'dashboard', '--grant', '*');
  const terminal = await Terminal.open([AUTHD, 'tui', '--url', world.url], { cwd: world.root, env: { AUTHD_API_KEY: key } });
  terminals.push(terminal);
  await terminal.sees('● live');
  await terminal.press('4');
  await terminal.sees('acme.test');
});
