// A person without a browser: a cookie jar that obeys the rules a browser obeys, and a walker that follows redirects and
// submits forms. No script is ever run, so what can be walked works without JavaScript.
//
//   const person = new Walker();
//   let page = await person.open(app.loginUrl());           // follows redirects up to the first page
//   page = await page.submit({ email: 'ada@a.test' });      // fills the form that has those fields, presses its first button
//   page = await page.submit({ login, password }, { button: 'deny' });

/** Cookies as RFC 6265bis has them: bound to host (not port) and path, `Secure` only over https, `__Host-` held to its rules. */
export class Jar {
  #cookies = [];

  take(url, header) {
    const [pair, ...rest] = header.split(';').map((part) => part.trim());
    const at = pair.indexOf('=');
    const cookie = { name: pair.slice(0, at), value: pair.slice(at + 1), host: url.hostname, path: defaultPath(url), sameSite: 'lax', session: true };
    for (const part of rest) {
      const [key, ...value] = part.split('=');
      const text = value.join('=');
      switch (key.toLowerCase()) {
        case 'path': if (text.startsWith('/')) cookie.path = text; break;
        case 'domain': cookie.domain = text; break;
        case 'secure': cookie.secure = true; break;
        case 'httponly': cookie.httpOnly = true; break;
        case 'samesite': cookie.sameSite = text.toLowerCase(); break;
        case 'expires': if (cookie.maxAge === undefined) { cookie.expires = Date.parse(text); cookie.session = false; } break;
        case 'max-age': cookie.maxAge = Number(text); cookie.expires = Date.now() + cookie.maxAge * 1000; cookie.session = false; break;
        default:
      }
    }
    const https = url.protocol === 'https:';
    if (cookie.secure && !https) throw new Error(`a Secure cookie over http would be dropped: ${header}`);
    if (cookie.name.startsWith('__Secure-') && !cookie.secure) throw new Error(`__Secure- without Secure: ${header}`);
    if (cookie.name.startsWith('__Host-') && (!cookie.secure || cookie.path !== '/' || cookie.domain !== undefined)) {
      throw new Error(`__Host- without Secure, Path=/ and no Domain: ${header}`);
    }
    if (cookie.sameSite === 'none' && !cookie.secure) throw new Error(`SameSite=None without Secure: ${header}`);
    this.#cookies = this.#cookies.filter((c) => !(c.name === cookie.name && c.host === cookie.host && c.path === cookie.path));
    if (cookie.session || cookie.expires > Date.now()) this.#cookies.push(cookie);
  }

  header(url) {
    const now = Date.now();
    return this.#cookies
      .filter((c) => c.host === url.hostname && pathMatches(url.pathname, c.path) && (c.session || c.expires > now))
      .sort((a, b) => b.path.length - a.path.length)
      .map((c) => `${c.name}=${c.value}`)
      .join('; ');
  }

  /** The cookies a site on this host set, for a test that looks at their attributes. */
  all(pattern = /./) {
    return this.#cookies.filter((c) => pattern.test(c.name));
  }

  forget(pattern = /./) {
    this.#cookies = this.#cookies.filter((c) => !pattern.test(c.name));
  }
}

const defaultPath = (url) => url.pathname.replace(/\/[^/]*$/, '') || '/';
const pathMatches = (path, of) => path === of || (path.startsWith(of) && (of.endsWith('/') || path[of.length] === '/'));

export class Walker {
  constructor({ jar = new Jar() } = {}) {
    this.jar = jar;
    /** Every address visited, as `METHOD status url`. */
    this.trail = [];
  }

  /** One request, no redirect followed. */
  async request(url, { method = 'GET', body, headers = {} } = {}) {
    url = new URL(url);
    const cookie = this.jar.header(url);
    const response = await fetch(url, {
      method,
      body,
      redirect: 'manual',
      headers: { accept: 'text/html,application/xhtml+xml', ...(cookie ? { cookie } : {}), ...headers },
    });
    for (const header of response.headers.getSetCookie()) this.jar.take(url, header);
    this.trail.push(`${method} ${response.status} ${url.href}`);
    const page = new Page(this, url, response.status, response.headers, await response.text());
    this.lastPage = page;
    return page;
  }

  /** Opens an address and follows redirects until a page, or until `stop(url)` says so. */
  async open(url, options = {}) {
    const { stop = () => false, ...first } = options;
    let page = await this.request(url, first);
    for (let hop = 0; page.location && hop < 20; hop += 1) {
      if (stop(page.location)) return page;
      // 307 and 308 would repeat the body: authd and the provider use neither
      page = await this.request(page.location);
    }
    if (page.location) throw new Error(`more than 20 redirects:\n${this.trail.slice(-6).join('\n')}`);
    return page;
  }
}

export class Page {
  constructor(walker, url, status, headers, html) {
    Object.assign(this, { walker, url, status, headers, html });
  }

  /** Where the answer redirects to, as a URL; undefined when it is a page. */
  get location() {
    const to = this.headers.get('location');
    return to && this.status >= 300 && this.status < 400 ? new URL(to, this.url) : undefined;
  }

  get title() {
    return decode(/<title[^>]*>([\s\S]*?)<\/title>/i.exec(this.html)?.[1] ?? '').trim();
  }

  /** What a reader sees, roughly. */
  get text() {
    return decode(this.html.replace(/<(style|script|title)[\s\S]*?<\/\1>/gi, ' ').replace(/<[^>]+>/g, ' ')).replace(/\s+/g, ' ').trim();
  }

  /** The JSON the test app shows. */
  get result() {
    const shown = /<pre id="result">([\s\S]*?)<\/pre>/.exec(this.html)?.[1];
    if (shown === undefined) throw new Error(`not the app's result page: ${this}`);
    return JSON.parse(decode(shown));
  }

  get forms() {
    return [...this.html.matchAll(/<form\b([^>]*)>([\s\S]*?)<\/form>/gi)].map(([, tag, inner]) => new Form(attributes(tag), inner));
  }

  get links() {
    return [...this.html.matchAll(/<a\b([^>]*)>([\s\S]*?)<\/a>/gi)]
      .map(([, tag, inner]) => ({ href: attributes(tag).href, text: decode(inner.replace(/<[^>]+>/g, ' ')).replace(/\s+/g, ' ').trim() }))
      .filter((link) => link.href !== undefined)
      .map((link) => ({ ...link, url: new URL(link.href, this.url) }));
  }

  /** Follows the link whose text or address matches. */
  follow(pattern, options) {
    const link = this.links.find((l) => pattern.test(l.text) || pattern.test(l.href));
    if (!link) throw new Error(`no link ${pattern} on ${this}`);
    return this.walker.open(link.url, options);
  }

  /**
   * Fills `fields` into the first form that has them all and sends it. `button` chooses the submit button by name, value or
   * text; without it the first one is pressed.
   */
  submit(fields = {}, { button, form: choose, ...options } = {}) {
    const names = Object.keys(fields);
    const form = this.forms.find((f) => names.every((n) => f.names.has(n)) && (!choose || choose(f)) && (!button || f.button(button)));
    if (!form) throw new Error(`no form with ${names.join(', ') || 'any field'}${button ? ` and button ${button}` : ''} on ${this}`);
    const body = form.body(fields, button);
    const pressed = button ? form.button(button) : form.buttons[0];
    const action = new URL(pressed?.formaction ?? form.action ?? this.url, this.url);
    if (form.method === 'get') {
      action.search = body;
      return this.walker.open(action, options);
    }
    return this.walker.open(action, {
      ...options,
      method: 'POST',
      body,
      headers: { 'content-type': 'application/x-www-form-urlencoded', origin: this.url.origin, 'sec-fetch-site': 'same-origin', referer: this.url.href },
    });
  }

  toString() {
    return `${this.status} ${this.url.href}: ${this.title} | ${this.text.slice(0, 400)}`;
  }
}

class Form {
  constructor({ action, method = 'get' }, inner) {
    this.action = action === '' ? undefined : action;
    this.method = method.toLowerCase();
    this.controls = [...inner.matchAll(/<(input|button|select|textarea)\b([^>]*)>(?:([\s\S]*?)<\/\1>)?/gi)].map(([, tag, attrs, body = '']) => ({
      tag: tag.toLowerCase(),
      type: tag.toLowerCase() === 'button' ? 'submit' : 'text',
      ...attributes(attrs),
      text: decode(body.replace(/<[^>]+>/g, ' ')).replace(/\s+/g, ' ').trim(),
      options: [...body.matchAll(/<option\b([^>]*)>([^<]*)/gi)].map(([, o, text]) => ({ value: decode(text).trim(), ...attributes(o) })),
    }));
    this.names = new Set(this.controls.map((c) => c.name).filter(Boolean));
  }

  get buttons() {
    return this.controls.filter((c) => c.type === 'submit' && (c.tag === 'button' || c.tag === 'input'));
  }

  button(wanted) {
    const is = (text) => (wanted instanceof RegExp ? wanted.test(text ?? '') : text === wanted);
    return this.buttons.find((b) => is(b.value) || is(b.name) || is(b.text));
  }

  body(fields, button) {
    const body = new URLSearchParams();
    for (const c of this.controls) {
      if (!c.name || 'disabled' in c || c.type === 'submit' || c.type === 'button') continue;
      const given = fields[c.name];
      if (c.type === 'checkbox') {
        if (given === undefined ? 'checked' in c : given === true || given === c.value || (Array.isArray(given) && given.includes(c.value))) body.append(c.name, c.value ?? 'on');
      } else if (c.type === 'radio') {
        if (given === undefined ? 'checked' in c : given === c.value) body.append(c.name, c.value);
      } else if (c.tag === 'select') {
        body.append(c.name, given ?? (c.options.find((o) => 'selected' in o) ?? c.options[0])?.value ?? '');
      } else {
        body.append(c.name, given ?? (c.tag === 'textarea' ? c.text : c.value) ?? '');
      }
    }
    const pressed = button ? this.button(button) : this.buttons[0];
    if (pressed?.name) body.append(pressed.name, pressed.value ?? '');
    return body;
  }
}

function attributes(tag) {
  const found = {};
  for (const [, name, double, single, bare] of tag.matchAll(/([\w:-]+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+)))?/g)) {
    found[name.toLowerCase()] = decode(double ?? single ?? bare ?? '');
  }
  return found;
}

function decode(text) {
  const named = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'", nbsp: ' ', middot: '·', hellip: '…', rarr: '→' };
  return text.replace(/&(?:#x([\da-f]+)|#(\d+)|(\w+));/gi, (whole, hex, dec, name) =>
    (hex ? String.fromCodePoint(parseInt(hex, 16)) : dec ? String.fromCodePoint(Number(dec)) : named[name] ?? whole));
}
