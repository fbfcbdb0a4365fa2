// A demo with life in it: people sign in, some of them through a provider that misbehaves.
import { Walker } from './walk.mjs';

const PEOPLE = ['ada@demo.example', 'grace@demo.example', 'alan@lab.example', 'margaret@lab.example', 'edsger@demo.example', 'katherine@demo.example'];
const FAULTS = ['wrong_audience', 'wrong_nonce', 'expired', 'wrong_audience', 'unknown_key', 'wrong_audience'];

/** One person signs in to the demo's app at `start`; with a fault, the provider answers wrongly. */
export async function visit(start, email, fault = '') {
  const person = new Walker();
  const app = await person.open(start);
  let page = await app.follow(/sign in/i);
  if (page.forms.some((form) => form.controls.some((c) => c.type === 'email'))) page = await page.submit({ email });
  const form = page.forms.find((f) => f.names.has('fault'));
  if (!form) return page;
  const button = form.buttons.find((b) => b.value?.includes(email) || b.text.includes(email)) ?? form.buttons[0];
  return page.submit({ fault }, { button: button.value ?? button.text });
}

/** Many do, one after another; every fourth is refused, and the last is still away. */
export async function crowd(start, count = 30) {
  for (let at = 0; at < count; at += 1) {
    const fault = at % 4 === 3 ? FAULTS[Math.floor(at / 4) % FAULTS.length] : '';
    await visit(start, PEOPLE[at % PEOPLE.length], fault);
  }
  const away = new Walker();
  const page = await (await away.open(start)).follow(/sign in/i);
  if (page.forms.some((form) => form.controls.some((c) => c.type === 'email'))) await page.submit({ email: PEOPLE[0] });
}
