// A relying party by hand, for requests that no honest library would send.
import { createHash, randomBytes } from 'node:crypto';

export const random = (bytes = 32) => randomBytes(bytes).toString('base64url');
export const s256 = (verifier) => createHash('sha256').update(verifier).digest('base64url');
/** RFC 6749 §2.3.1: both halves of HTTP Basic are form-encoded first. */
const formEncode = (text) => new URLSearchParams([['', text]]).toString().slice(1);
export const basic = (id, secret) => `Basic ${Buffer.from(`${formEncode(id)}:${formEncode(secret)}`).toString('base64')}`;

/** `base` with `changes` laid over; a change to undefined takes the parameter away, an array repeats it. */
function query(base, changes) {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries({ ...base, ...changes })) {
    for (const one of [value].flat()) if (one !== undefined) parameters.append(name, one);
  }
  return parameters;
}

export class Wire {
  constructor({ issuer, clientId, clientSecret, redirectUri, auth = clientSecret ? 'basic' : 'none' }) {
    Object.assign(this, { issuer, clientId, clientSecret, redirectUri, auth });
  }

  async metadata() {
    this.cached ??= await (await fetch(`${this.issuer}/.well-known/openid-configuration`)).json();
    return this.cached;
  }

  /** The address of a sound authorization request, with `changes`. Its verifier and state are kept on the returned URL. */
  async authorize(changes = {}) {
    const verifier = random();
    const state = random(12);
    const url = new URL((await this.metadata()).authorization_endpoint);
    url.search = query({
      response_type: 'code', client_id: this.clientId, redirect_uri: this.redirectUri, scope: 'openid email profile',
      state, nonce: random(12), code_challenge: s256(verifier), code_challenge_method: 'S256',
    }, changes);
    return Object.assign(url, { verifier, state });
  }

  /** Posts to the token endpoint; answers status, headers and JSON. `auth`: basic, post, none. */
  async token(changes = {}, { auth = this.auth, headers = {} } = {}) {
    const body = query({
      grant_type: 'authorization_code', redirect_uri: this.redirectUri,
      ...(auth === 'basic' ? {} : { client_id: this.clientId }),
      ...(auth === 'post' ? { client_secret: this.clientSecret } : {}),
    }, changes);
    const response = await fetch((await this.metadata()).token_endpoint, {
      method: 'POST', body,
      headers: { ...(auth === 'basic' ? { authorization: basic(this.clientId, this.clientSecret) } : {}), ...headers },
    });
    const text = await response.text();
    return { status: response.status, headers: response.headers, text, json: parse(text) };
  }

  async userinfo(token) {
    const response = await fetch((await this.metadata()).userinfo_endpoint, { headers: { authorization: `Bearer ${token}` } });
    const text = await response.text();
    return { status: response.status, headers: response.headers, text, json: parse(text) };
  }
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The parts of a JWT, unverified. */
export function decode(token) {
  const [header, payload] = token.split('.').slice(0, 2).map((part) => JSON.parse(Buffer.from(part, 'base64url')));
  return { header, payload };
}
