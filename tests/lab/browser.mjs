// A real browser: Debian's chromium, driven by playwright-core. Every console error, failed request and violation of a
// content security policy is kept in `problems`; a test asserts that there are none.
//
// In a test:   const tab = await openTab({ out }); const result = await tab.signIn(app.origin, { email })
// By hand:     node browser.mjs URL OUTDIR EMAIL
import fs from 'node:fs';
import path from 'node:path';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { chromium } from 'playwright-core';
import { PASSWORD } from './provider.mjs';

const PATHS = [process.env.CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
const executablePath = PATHS.find((file) => file && fs.existsSync(file));

/** Why no browser test can run here; false when they can. In the form that `node:test` takes for `skip`. */
export const noBrowser = process.env.AUTHD_LAB_BROWSER === '0' && 'without a browser (--quick)';

const axe = fs.readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

let browser;
async function launch() {
  if (!executablePath) throw new Error('no chromium: install the package `chromium`, or name a binary in $CHROMIUM');
  browser ??= await chromium.launch({
    executablePath,
    args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--disable-quic', '--no-first-run',
      '--disable-background-networking', '--disable-component-update', '--disable-sync', '--force-color-profile=srgb'],
  });
  return browser;
}

export async function closeBrowser() {
  await browser?.close();
  browser = undefined;
}

export const PHONE = { viewport: { width: 360, height: 740 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true };

/** A fresh profile with one tab. `options` are playwright's: colorScheme, viewport, javaScriptEnabled … */
export async function openTab({ out, name = 'tab', ...options } = {}) {
  const context = await (await launch()).newContext({ viewport: { width: 1000, height: 700 }, locale: 'en-GB', reducedMotion: 'reduce', ...options });
  context.setDefaultTimeout(15_000);
  const page = await context.newPage();
  const problems = [];
  const note = (text) => problems.push(`${text} (at ${page.url().slice(0, 120)})`);
  page.on('console', (message) => message.type() === 'error' && !tab.expected.test(message.text()) && note(`console: ${message.text()}`));
  page.on('pageerror', (error) => note(`script: ${error}`));
  page.on('requestfailed', (request) => !/ERR_ABORTED/.test(request.failure()?.errorText) && note(`request: ${request.url()} ${request.failure()?.errorText}`));
  await page.exposeFunction('labNotePolicyViolation', (text) => note(`policy: ${text}`)).catch(() => {});
  await page.addInitScript(() => document.addEventListener('securitypolicyviolation', (event) =>
    window.labNotePolicyViolation?.(`${event.violatedDirective} blocked ${event.blockedURI}`)));

  let step = 0;
  const tab = {
    page,
    context,
    problems,
    /** What the console may say: a page that is a refusal is logged by chromium as a failed load. */
    expected: /$^/,
    close: () => context.close(),

    /** A picture of the page as it is, numbered in the order taken. */
    async shot(label) {
      if (!out) return undefined;
      fs.mkdirSync(out, { recursive: true });
      step += 1;
      const file = path.join(out, `${name}-${String(step).padStart(2, '0')}-${label}.png`);
      await page.screenshot({ path: file, fullPage: true });
      return file;
    },

    /** Presses a button or link and waits for the page that follows. */
    async press(locator) {
      const before = page.url();
      await Promise.all([page.waitForURL((url) => url.href !== before, { waitUntil: 'load' }), locator.click()]);
    },

    /** Presses a button whose answer may have the same address. */
    async send(locator) {
      await Promise.all([page.waitForEvent('load'), locator.click()]);
    },

    /** What axe-core finds against WCAG 2.2 AA, as one line each; empty is good. */
    async accessibility() {
      await page.evaluate(axe);
      const { violations } = await page.evaluate(() => globalThis.axe.run({ runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }));
      return violations.map((v) => `${v.id}: ${v.help}: ${v.nodes.map((n) => n.target.join(' ')).join(', ')}`);
    },

    /** True when the page has to be scrolled sideways. */
    overflows: () => page.evaluate(() => document.documentElement.scrollWidth > window.innerWidth),

    /**
     * From `start` (an app's page with a link to sign in, or any address) through authd's e-mail page and the provider's pages
     * to the app's result, which is returned. `onPage(kind)` is called on each page: app, email, login, consent (the
     * provider's), agree (authd's), result.
     */
    async signIn(start, { email, login = email, password = PASSWORD, onPage = async () => {} } = {}) {
      const look = async (kind) => {
        await tab.shot(kind);
        await onPage(kind);
      };
      await page.goto(start);
      for (let hop = 0; hop < 8; hop += 1) {
        if (await page.locator('pre#result').count()) {
          await look('result');
          return JSON.parse(await page.locator('pre#result').textContent());
        }
        if (await page.locator('a#login').count()) {
          await look('app');
          await tab.press(page.locator('a#login'));
        } else if (await page.locator('input[name=login]').count()) {
          await look('login');
          await page.locator('input[name=login]').fill(login);
          await page.locator('input[name=password]').fill(password);
          await tab.press(page.locator('button[value=ok]'));
        } else if (await page.locator('button[value=ok]').count()) {
          await look('consent');
          await tab.press(page.locator('button[value=ok]'));
        } else if (await page.locator('button[name=decision][value=allow]').count()) {
          await look('agree');
          await tab.press(page.locator('button[name=decision][value=allow]'));
        } else if (await page.locator('input[type=email]').count()) {
          await page.locator('input[type=email]').fill(email);
          await look('email');
          await tab.press(page.locator('form:has(input[type=email]) button[type=submit], form:has(input[type=email]) button:not([type])').first());
        } else {
          await look('stuck');
          break;
        }
      }
      throw new Error(`the browser did not come back to the app, but to ${page.url()}: ${(await page.locator('body').innerText()).slice(0, 400)}`);
    },
  };
  return tab;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const [start, out = 'shots', email = 'ada@example.test'] = process.argv.slice(2);
  const tab = await openTab({ out });
  console.log(JSON.stringify(await tab.signIn(start, { email }).catch(String), null, 2));
  console.log('problems:', tab.problems);
  await closeBrowser();
}
