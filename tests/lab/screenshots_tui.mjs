// Takes the pictures of the dashboard for the README, from the real screen:  node tests/lab/screenshots_tui.mjs [OUTDIR]
// A demo is started, people sign in to it, and `authd tui` is looked at in tmux. OUTDIR is assets/screenshots unless given.
import fs from 'node:fs';
import path from 'node:path';
import { closeBrowser, openTab } from './browser.mjs';
import { AUTHD, REPOSITORY, World } from './world.mjs';
import { crowd } from './crowd.mjs';
import { demoAddress } from './demo.mjs';
import { page } from './ansi.mjs';
import { Terminal } from './terminal.mjs';

const out = path.resolve(process.argv[2] ?? path.join(REPOSITORY, 'assets/screenshots'));
fs.mkdirSync(out, { recursive: true });

const GROUNDS = { dark: { ground: '#10131a', text: '#c9d1e3' }, light: { ground: '#fbfbfc', text: '#262c38' } };
const SIZE = { width: 140, height: 40 };

const world = await World.start({ provider: false, args: ['--demo'] });
const terminals = [];
try {
  await crowd(await demoAddress(world));
  const tab = await openTab({ viewport: { width: 1400, height: 900 }, deviceScaleFactor: 2 });
  for (const theme of ['dark', 'light']) {
    const terminal = await Terminal.open([AUTHD, 'tui', '--data-dir', world.dataDir, '--theme', theme], SIZE);
    terminals.push(terminal);
    const picture = async (name) => {
      await new Promise((go) => setTimeout(go, 1500));
      await tab.page.setContent(page(await terminal.screen({ colours: true }), GROUNDS[theme]));
      const file = path.join(out, `${name}${theme === 'dark' ? '-dark' : ''}.png`);
      await tab.page.locator('.window').screenshot({ path: file, omitBackground: true });
      console.log(path.relative(REPOSITORY, file));
    };
    await terminal.sees('● live');
    await terminal.sees(/in, last hour/);
    await picture('tui-overview');
    await terminal.press('2');
    await terminal.sees('refused');
    await terminal.press('/');
    await terminal.type('refused');
    await terminal.press('Enter');
    await terminal.sees('Waterfall');
    await picture('tui-signins');
    await terminal.press('Escape', '3', 'Space', 'Space', 'x');
    await terminal.sees('End');
    await picture('tui-sessions');
    await terminal.press('Escape', 'Escape', '4');
    await terminal.sees('For the provider');
    await picture('tui-connections');
  }
  await tab.close();
} finally {
  await Promise.all(terminals.map((terminal) => terminal.close()));
  await closeBrowser();
  await world.stop();
}
