// `authd serve --demo`: from the printed address to a page with a verified token, and every fault of the simulator refused.
import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before } from 'node:test';
import { closeBrowser, noBrowser, openTab } from '../browser.mjs';
import { demoAddress } from '../demo.mjs';
import { OUT, Person, World, assertRefused, shows } from '../world.mjs';

/** The code of the refusal that each fault of the simulator leads to. */
const REFUSED_WITH = {
  expired: 'token_expired',
  clock_skew: 'token_claims',
  rotated_key: undefined, // an honest rotation
  unknown_key: 'token_key',
  wrong_signature: 'token_signature',
  alg_none: 'token_signature',
  wrong_audience: 'token_audience',
  wrong_issuer: 'token_claims',
  mix_up: 'issuer_mismatch',
  wrong_nonce: 'nonce_mismatch',
  no_nonce: 'nonce_mismatch',
  wrong_at_hash: 'token_binding',
  userinfo_sub: 'userinfo_sub',
  unverified_email: 'email_not_verified',
  email_verified_text: 'email_not_verified',
  foreign_email: 'email_domain_not_owned',
  slow: 'upstream_unavailable',
  token_error: 'upstream_unavailable',
  access_denied: 'upstream_denied',
};

let world;
let start;
before(async () => {
  world = await World.start({ provider: false, args: ['--demo'] });
  start = await demoAddress(world);
});
after(async () => {
  await closeBrowser();
  await world?.stop();
});

/** From the printed address to the simulator's page. */
async function toPeople(person) {
  let page = await person.open(start);
  assert.equal(page.status, 200, String(page));
  page = await page.follow(/sign.?in/i);
  const email = page.forms.flatMap((f) => f.controls).find((c) => c.type === 'email');
  if (email) page = await page.submit({ [email.name]: email.value || 'ada@demo.example' });
  assert.ok(page.forms.some((f) => f.names.has('person')), `not the simulator: ${page}`);
  return page;
}

const choices = (page, name) => [...new Set(page.forms.flatMap((f) => f.controls).filter((c) => c.name === name)
  .flatMap((c) => (c.tag === 'select' ? c.options.map((o) => o.value) : [c.value])))];

shows('serve --demo speaks SAML as well: a sign-in, and a fault that is refused', async () => {
  const toSaml = async (person) => {
    let page = await (await person.open(start)).follow(/sign.?in/i);
    const email = page.forms.flatMap((f) => f.controls).find((c) => c.type === 'email');
    page = await page.submit({ [email.name]: 'ada@saml.example' });
    assert.match(page.text, /ada@saml\.example/, String(page));
    return page;
  };
  const refused = await (await toSaml(new Person('x'))).submit({ fault: 'wrapped' }, { button: 'ada' });
  assertRefused(await refused.submit(), 'saml_structure', 400);
  const posts = await (await toSaml(new Person('x'))).submit({ fault: '' }, { button: 'ada' });
  const page = await posts.submit();
  assert.match(page.text, /ada@saml\.example/, String(page));
});

shows('serve --demo prints an address that leads through the simulator to a verified token', async () => {
  const page = await toPeople(new Person('x'));
  assert.match(page.text, /simulat|test identity provider/i, 'it says that it is one');
  const people = choices(page, 'person');
  assert.ok(people.length >= 2, 'there are several people');
  const shown = await page.submit({}, { button: people[0] });
  assert.equal(shown.status, 200, String(shown));
  assert.equal(shown.url.origin, new URL(start).origin);
  for (const claim of ['iss', 'sub', 'aud', 'org_id', 'email']) assert.ok(shown.text.includes(claim), `${claim} is not shown`);
  assert.match(shown.text, /verified/i);
  const token = /eyJ[\w-]+\.eyJ[\w-]+\.[\w-]+/.exec(shown.html.replace(/<[^>]+>/g, ''))?.[0];
  assert.ok(token, 'the token itself is shown');
});

shows('every person of the simulator can sign in, or is told why not', async () => {
  for (const one of choices(await toPeople(new Person('x')), 'person')) {
    const page = await (await toPeople(new Person('x'))).submit({}, { button: one });
    if (page.status !== 200) assertRefused(page, /\b[a-z]+(_[a-z]+)+\b/);
  }
});

async function withFault(fault) {
  const people = await toPeople(new Person('x'));
  return people.submit({ fault }, { button: choices(people, 'person')[0] });
}

shows('the test knows every fault of the simulator', async () => {
  const faults = choices(await toPeople(new Person('x')), 'fault').filter(Boolean);
  assert.deepEqual(faults.sort(), Object.keys(REFUSED_WITH).sort());
});

for (const [fault, refusedWith] of Object.entries(REFUSED_WITH).filter(([, code]) => code)) {
  shows(`the fault ${fault} leads to a page that says ${refusedWith}, and explain explains it`, async () => {
    const requestId = assertRefused(await withFault(fault), refusedWith);
    const { code, stdout, stderr } = await world.run('explain', requestId);
    assert.equal(code, 0, stderr);
    assert.ok(stdout.includes(refusedWith), stdout);
  });
}

shows('keys that the provider rotated are picked up within 35 seconds', async () => {
  const began = performance.now();
  let page = await withFault('rotated_key');
  while (page.status !== 200) {
    assertRefused(page, 'token_key');
    assert.ok(performance.now() - began < 36_000, 'the new key is still not known');
    await new Promise((done) => setTimeout(done, 2000));
    page = await withFault('rotated_key');
  }
});

shows('a browser walks the demo', { skip: noBrowser }, async () => {
  const tab = await openTab({ out: path.join(OUT, 'demo'), name: 'demo' });
  await tab.page.goto(start);
  await tab.shot('home');
  assert.deepEqual(await tab.accessibility(), []);
  await tab.press(tab.page.getByRole('link', { name: /sign in/i }).first());
  if (await tab.page.locator('input[type=email]').count()) {
    const field = tab.page.locator('input[type=email]');
    if (!await field.inputValue()) await field.fill('ada@demo.example');
    await tab.shot('email');
    await tab.press(tab.page.locator('form:has(input[type=email]) button').first());
  }
  await tab.shot('people');
  assert.deepEqual(await tab.accessibility(), []);
  await tab.press(tab.page.locator('button[name=person]').first());
  await tab.shot('token');
  assert.deepEqual(await tab.accessibility(), []);
  assert.match(await tab.page.locator('body').innerText(), /org_id/);
  assert.deepEqual(tab.problems, []);
  await tab.close();
});

shows('a second serve --demo on the same data directory goes on with what is there', async () => {
  const before = await world.json('counts');
  assert.equal((await world.halt()).code, 0);
  await world.serve();
  const now = await world.json('counts');
  for (const kind of ['organizations', 'connections', 'apps']) assert.equal(now[kind], before[kind], kind);
  await toPeople(new Person('x'));
});

shows('without --demo there is no simulator', async () => {
  const plain = await World.start({ provider: false });
  try {
    assert.equal((await fetch(`${plain.url}/demo`)).status, 404);
    assert.equal((await fetch(`${plain.url}/simulator`)).status, 404);
  } finally {
    await plain.stop();
  }
});
