// Takes the pictures of the README from a demo that it starts itself:  node tests/lab/screenshots.mjs [OUTDIR]
// OUTDIR is assets/screenshots of this repository unless given. Light and dark; the sign-in page also on a phone.
import fs from 'node:fs';
import path from 'node:path';
import { PHONE, closeBrowser, openTab } from './browser.mjs';
import { REPOSITORY, World } from './world.mjs';
import { demoAddress } from './demo.mjs';

const out = path.resolve(process.argv[2] ?? path.join(REPOSITORY, 'assets/screenshots'));
fs.mkdirSync(out, { recursive: true });

const world = await World.start({ provider: false, args: ['--demo'] });
try {
  for (const colorScheme of ['light', 'dark']) {
    const tab = await openTab({ colorScheme, viewport: { width: 1000, height: 680 }, deviceScaleFactor: 2 });
    const picture = async (name, fullPage = false) => {
      const file = path.join(out, `${name}${colorScheme === 'dark' ? '-dark' : ''}.png`);
      await tab.page.screenshot({ path: file, fullPage });
      console.log(path.relative(REPOSITORY, file));
    };
    await tab.page.goto(await demoAddress(world));
    await picture('demo-app');
    await tab.press(tab.page.getByRole('link', { name: /sign in/i }).first());
    const email = tab.page.locator('input[type=email]');
    if (await email.count()) {
      if (!await email.inputValue()) await email.fill('ada@demo.example');
      await picture('sign-in');
      await tab.press(tab.page.locator('form:has(input[type=email]) button').first());
    }
    await picture('simulator');
    await tab.press(tab.page.locator('button[name=person]').first());
    await picture('token');
    await tab.close();

    // what a refusal looks like: the first fault that the simulator has
    const refused = await openTab({ colorScheme, viewport: { width: 1000, height: 680 }, deviceScaleFactor: 2 });
    await refused.page.goto(await demoAddress(world));
    await refused.press(refused.page.getByRole('link', { name: /sign in/i }).first());
    if (await refused.page.locator('input[type=email]').count()) {
      const field = refused.page.locator('input[type=email]');
      if (!await field.inputValue()) await field.fill('ada@demo.example');
      await refused.press(refused.page.locator('form:has(input[type=email]) button').first());
    }
    const fault = await refused.page.locator('select[name=fault] option[value*=nonce]').first().getAttribute('value');
    await refused.page.locator('select[name=fault]').selectOption(fault);
    await refused.press(refused.page.locator('button[name=person]').first());
    const file = path.join(out, `refused${colorScheme === 'dark' ? '-dark' : ''}.png`);
    await refused.page.screenshot({ path: file });
    console.log(path.relative(REPOSITORY, file));
    await refused.close();
  }
  const phone = await openTab({ ...PHONE });
  await phone.page.goto(await demoAddress(world));
  await phone.press(phone.page.getByRole('link', { name: /sign in/i }).first());
  if (await phone.page.locator('input[type=email]').count()) await phone.page.screenshot({ path: path.join(out, 'sign-in-phone.png') });
  await phone.close();
} finally {
  await closeBrowser();
  await world.stop();
}
