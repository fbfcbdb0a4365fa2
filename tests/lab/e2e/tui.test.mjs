// The dashboard in a real terminal (tmux): a session appears, is ended and goes; sizes; a killed server; a stopped program.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
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

shows('the mouse chooses panels and rows, opens, goes back, sorts, and turns pages', { skip: noTmux }, async () => {
  await Promise.all(['hedy@acme.test', 'barbara@acme.test', 'margaret@acme.test'].map(signIn));
  const terminal = await dashboard();
  const rows = async () => (await terminal.screen()).match(/\w+@acme\.test/g);
  await terminal.point('Sessions');
  await terminal.sees('margaret@acme.test');
  await terminal.point('Person');
  await terminal.sees(/barbara@acme\.test[^]*hedy@acme\.test[^]*margaret@acme\.test/);
  await terminal.point('Person');
  await terminal.sees(/margaret@acme\.test[^]*hedy@acme\.test[^]*barbara@acme\.test/);
  assert.deepEqual(await rows(), [...(await rows())].sort().reverse());
  // the first click chooses a row, the second opens it, the other button goes back
  await terminal.point('hedy@acme.test');
  await terminal.point('hedy@acme.test');
  await terminal.sees('Sessions › hedy@acme.test');
  await terminal.losesSight('barbara@acme.test');
  await terminal.point('hedy@acme.test', { button: 'right' });
  await terminal.sees('barbara@acme.test');
  await terminal.press('?');
  const help = await terminal.screen();
  await terminal.point('─', { button: 'down' });
  await terminal.losesSight(help);
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

const modes = (terminal) => terminal.tmux('display', '-p', '#{alternate_on} #{mouse_any_flag} #{cursor_flag}');

/** A dashboard started from a shell with job control, as people do. */
async function inShell() {
  const terminal = await Terminal.open(['bash', '--norc', '--noprofile', '-i'], { cwd: world.root, env: { PS1: 'shell> ' } });
  terminals.push(terminal);
  await terminal.sees('shell>');
  await terminal.type(`${AUTHD} tui --data-dir ${world.dataDir}`);
  await terminal.press('Enter');
  await terminal.sees('● live');
  return terminal;
}

/** The shell has its terminal back: it echoes, takes lines, and nothing of the dashboard stands in the way. */
async function shellWorks(terminal, word) {
  assert.match(await modes(terminal), /^0 0 1/);
  await terminal.type(`echo ${word}-$((6 * 7)); stty -a | grep -o ' icanon' | sed s/^/mode/`);
  await terminal.press('Enter');
  const screen = await terminal.sees(`${word}-42`);
  assert.match(screen, new RegExp(`echo ${word}-`), 'what is typed is seen');
  await terminal.sees('mode icanon');
}

shows('^Z gives the terminal to the shell, and `fg` draws the dashboard anew', { skip: noTmux }, async () => {
  const terminal = await inShell();
  await terminal.press('4');
  await terminal.sees('Connections');
  for (const word of ['first', 'again']) {
    await terminal.press('C-z');
    await terminal.sees(/Stopped.*authd.*tui/);
    await shellWorks(terminal, word);
    // meanwhile the window has another size, and somebody signs in
    await terminal.resize(word === 'first' ? 120 : 80, 30);
    await signIn(`${word}@acme.test`);
    await terminal.type('fg');
    await terminal.press('Enter');
    await terminal.sees('● live');
    const screen = await terminal.sees('Connections');
    assert.doesNotMatch(screen, /shell>|-42/, 'nothing of the shell is left on the screen');
    assert.match(await modes(terminal), /^1 1/);
    await terminal.press('3');
    await terminal.sees(`${word}@acme.test`);
    await terminal.press('4');
    await terminal.sees('Connections');
  }
  await terminal.press('q');
  await terminal.sees(/shell> *$/m);
  await shellWorks(terminal, 'end');
});

shows('a signal from elsewhere stops it in order, too, and one that ends it does', { skip: noTmux }, async () => {
  const terminal = await inShell();
  // the terminal's own shell, the one with job control, and the dashboard
  const child = (pid) => execFileSync('pgrep', ['-P', pid], { encoding: 'utf8' }).trim();
  const dashboard = child(child((await terminal.tmux('display', '-p', '#{pane_pid}')).trim()));
  const signal = (name) => process.kill(Number(dashboard), name);
  await signal('SIGTSTP');
  await terminal.sees('Stopped');
  await shellWorks(terminal, 'stopped');
  await terminal.type('fg');
  await terminal.press('Enter');
  await terminal.sees('● live');
  await signal('SIGTERM');
  await terminal.sees(/shell> *$/m);
  await shellWorks(terminal, 'ended');
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
