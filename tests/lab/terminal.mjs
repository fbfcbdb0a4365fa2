// A real terminal: tmux, on a server of its own, so that nobody's sessions are touched. Screens are read as people see them.
import { execFile, execFileSync } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';

let count = 0;

export const noTmux = (() => {
  try {
    execFileSync('tmux', ['-V']);
    return false;
  } catch {
    return 'tmux is not installed';
  }
})();

export class Terminal {
  #socket = `authd-lab-${process.pid}-${(count += 1)}`;

  /** Runs a command in a terminal of that size. */
  static async open(command, { width = 80, height = 24, env = {}, cwd } = {}) {
    const terminal = new Terminal();
    const set = Object.entries({ TERM: 'tmux-256color', COLORTERM: 'truecolor', LANG: 'C.UTF-8', ...env }).map(([name, value]) => `${name}='${value}'`);
    // `; sh` keeps the terminal after the command, so that what it leaves behind can be looked at
    const line = `${set.join(' ')} ${command.map(quoted).join(' ')}; echo "ended with $?"; exec sh`;
    await terminal.tmux('-f', '/dev/null', 'new-session', '-d', '-x', `${width}`, '-y', `${height}`, ...(cwd ? ['-c', cwd] : []), line);
    await terminal.tmux('set', '-g', 'status', 'off');
    await terminal.tmux('set', '-g', 'set-clipboard', 'on');
    return terminal;
  }

  tmux(...args) {
    return new Promise((done, failed) => {
      execFile('tmux', ['-u', '-L', this.#socket, ...args], { maxBuffer: 1 << 24 }, (error, stdout, stderr) => {
        if (error) failed(new Error(`tmux ${args.join(' ')}: ${stderr || error.message}`));
        else done(stdout);
      });
    });
  }

  /** The screen as text; with `colours`, with its escape sequences. */
  screen({ colours = false } = {}) {
    return this.tmux('capture-pane', '-p', ...(colours ? ['-e'] : []));
  }

  /** Keys by tmux's names: `Enter`, `Escape`, `C-z`, `Down`; anything else is typed as it is. */
  async press(...keys) {
    for (const key of keys) {
      await this.tmux('send-keys', key);
      await sleep(40);
    }
  }

  async type(text) {
    await this.tmux('send-keys', '-l', text);
    await sleep(40);
  }

  /** A click in the middle of that text, or a turn of the wheel over it, as a terminal reports it (SGR, xterm's mode 1006). */
  async point(what, { button = 'left' } = {}) {
    const lines = (await this.sees(what)).split('\n');
    const row = lines.findIndex((line) => line.includes(what));
    // columns are counted from 1, in characters: nothing that is pointed at stands behind a wide one
    const column = [...lines[row].slice(0, lines[row].indexOf(what))].length + Math.ceil(what.length / 2);
    const code = { left: 0, right: 2, up: 64, down: 65 }[button];
    const pressed = `\x1b[<${code};${column};${row + 1}M`;
    await this.type(code < 64 ? `${pressed}\x1b[<${code};${column};${row + 1}m` : pressed);
  }

  resize(width, height) {
    return this.tmux('resize-window', '-x', `${width}`, '-y', `${height}`);
  }

  /** Waits until the screen has that text, or fits the pattern; answers it. */
  async sees(what, { within = 20_000, not = false } = {}) {
    const fits = (screen) => (typeof what === 'string' ? screen.includes(what) : what.test(screen)) !== not;
    let screen = '';
    for (const until = Date.now() + within; Date.now() < until; await sleep(100)) {
      screen = await this.screen();
      if (fits(screen)) return screen;
    }
    throw new Error(`the screen ${not ? 'still has' : 'never had'} ${what}:\n${screen}`);
  }

  losesSight(what, options) {
    return this.sees(what, { ...options, not: true });
  }

  async close() {
    await this.tmux('kill-server').catch(() => {});
  }
}

const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
