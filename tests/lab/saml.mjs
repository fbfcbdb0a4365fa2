// Identity providers that speak SAML: npm samlp in this process, PyPI pysaml2 in one of its own. Both answer at once,
// without a page to sign in. They are called `localhost`, so that a browser takes them for another site than authd.
//
//   const idp = await startSamlp();            idp.set({ sign: 'assertion', enc: 'aes256-gcm', user: 'bob' })
//   const idp = await startPysaml2({ … });     the same words
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import express from 'express';
import samlp from 'samlp';
import { freePort, listen } from './web.mjs';

const python = process.env.AUTHD_LAB_PYTHON ?? '';

/** Why no test with pysaml2 can run here; false when it can. In the form that `node:test` takes for `skip`. */
export const noPysaml2 = !(python && fs.existsSync(python) && fs.existsSync('/usr/bin/xmlsec1'))
  && 'pysaml2 or xmlsec1 is not installed (tests/run does it; AUTHD_LAB_PYTHON names an interpreter that has pysaml2)';

const EMAIL = 'urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress';
const CLAIM = 'http://schemas.xmlsoap.org/ws/2005/05/identity/claims/';
const FORMATS = { email: EMAIL, persistent: 'urn:oasis:names:tc:SAML:2.0:nameid-format:persistent', transient: 'urn:oasis:names:tc:SAML:2.0:nameid-format:transient' };
const CIPHERS = {
  'aes128-gcm': 'http://www.w3.org/2009/xmlenc11#aes128-gcm',
  'aes256-gcm': 'http://www.w3.org/2009/xmlenc11#aes256-gcm',
  'aes128-cbc': 'http://www.w3.org/2001/04/xmlenc#aes128-cbc',
  'aes256-cbc': 'http://www.w3.org/2001/04/xmlenc#aes256-cbc',
  '3des': 'http://www.w3.org/2001/04/xmlenc#tripledes-cbc',
};

/** What both providers know of people; their addresses are of the provider's own domain. */
export const PEOPLE = {
  ada: { first: 'Ada', last: 'Lovelace', groups: ['engineers', 'staff'] },
  bob: { first: 'Bob', last: 'Öber & <Söhne>', groups: [] },
};

/** A fresh key with a certificate that it signs itself, as PEM and as files in `folder`. */
export function keyPair(folder, name = 'idp') {
  const [key, cert] = [path.join(folder, `${name}.key`), path.join(folder, `${name}.crt`)];
  execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '30', '-subj', `/CN=${name}`, '-keyout', key, '-out', cert], { stdio: 'ignore' });
  return { files: { key, cert }, key: fs.readFileSync(key, 'utf8'), cert: fs.readFileSync(cert, 'utf8') };
}

const publicKey = (cert) => execFileSync('openssl', ['x509', '-pubkey', '-noout'], { input: cert }).toString();

/** The attributes, by the names that Entra ID gives them. */
class Claims {
  constructor(person, format) {
    Object.assign(this, { person, format });
  }

  getClaims() {
    const { email, first, last, groups } = this.person;
    return {
      [`${CLAIM}emailaddress`]: email,
      [`${CLAIM}givenname`]: first,
      [`${CLAIM}surname`]: last,
      ...(groups.length ? { 'http://schemas.microsoft.com/ws/2008/06/identity/claims/groups': groups } : {}),
    };
  }

  getNameIdentifier() {
    return { nameIdentifier: this.person.email, nameIdentifierFormat: FORMATS[this.format] };
  }
}

/** `wantSigned`: takes only requests that the connection has signed; `idp.sp` must be set before the first request. */
export async function startSamlp({ domain, wantSigned = false, bindings = ['redirect', 'post'] } = {}) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'authd-samlp-'));
  const own = keyPair(folder);
  const app = express();
  const server = http.createServer(app);
  const port = await listen(server);
  const origin = `http://localhost:${port}`;
  const participants = [];
  const idp = {
    domain,
    port,
    origin,
    entityId: `urn:samlp:${port}`,
    metadataUrl: `http://127.0.0.1:${port}/metadata`,
    cert: own.cert,
    /** Who asks: entityId, acsUrl, sloUrl, certificate. */
    sp: undefined,
    /** What it was asked, newest last: method and whether a signature came with it. */
    asked: [],
    /** What the service answered to the last logout request. */
    loggedOut: undefined,
    /** The service's own order to end a session, once it has been checked: name, index, by. */
    ended: undefined,
    /** Who is signed in here. */
    participants,
    lastEnded: async () => idp.ended,
    set: async (words = {}) => { idp.flags = words; },
    flags: {},
    close: () => {
      fs.rmSync(folder, { recursive: true, force: true });
      return new Promise((done) => {
        server.close(done);
        server.closeAllConnections();
      });
    },
  };

  const options = (relayState) => {
    const { sign = 'both', enc, user = 'ada', alg = 'sha256', format = 'email', index } = idp.flags;
    return {
      issuer: idp.entityId, cert: own.cert, key: own.key, audience: idp.sp.entityId,
      destination: idp.sp.acsUrl, recipient: idp.sp.acsUrl, lifetimeInSeconds: 300,
      signatureAlgorithm: `rsa-${alg}`, digestAlgorithm: alg,
      signResponse: sign === 'both' || sign === 'response', signAssertion: sign === 'both' || sign === 'assertion',
      // called without `new`
      profileMapper: (person) => new Claims(person, format),
      getUserFromRequest: () => ({ ...PEOPLE[user], email: `${user}@${domain}` }),
      getPostURL: (_audience, _document, _request, done) => done(null, idp.sp.acsUrl),
      sessionIndex: index,
      // samlp takes an empty one for none, and asks the request
      RelayState: relayState,
      ...(wantSigned ? { signingCert: idp.sp.certificate } : {}),
      ...(enc ? {
        encryptionCert: idp.sp.certificate, encryptionPublicKey: publicKey(idp.sp.certificate), encryptionAlgorithm: CIPHERS[enc],
        disallowEncryptionWithInsecureAlgorithm: false, warnOnInsecureEncryptionAlgorithm: false,
      } : {}),
    };
  };

  app.use(express.urlencoded({ extended: false }));
  // express 5 has no query on a body and no body on a query, and samlp looks at both
  app.use((request, _response, next) => {
    request.body ??= {};
    next();
  });
  app.get('/favicon.ico', (_request, response) => response.status(204).end());
  app.get('/metadata', (request, response, next) => {
    const mapper = Object.assign(() => {}, { prototype: { metadata: [] } });
    const send = response.send.bind(response);
    response.send = (xml) => {
      let out = xml;
      for (const [name, binding] of [['redirect', 'Redirect'], ['post', 'POST']]) {
        if (idp.flags.slo && idp.flags.slo !== name) out = out.replace(new RegExp(`<SingleLogoutService[^>]*HTTP-${binding}"[^>]*/>`), '');
        if (!bindings.includes(name)) out = out.replace(new RegExp(`<SingleSignOnService[^>]*HTTP-${binding}"[^>]*/>`), '');
      }
      if (wantSigned) out = out.replace('<IDPSSODescriptor', '<IDPSSODescriptor WantAuthnRequestsSigned="true"');
      return send(out.replaceAll('http://127.0.0.1', 'http://localhost'));
    };
    samlp.metadata({
      issuer: idp.entityId, cert: own.cert, profileMapper: mapper, redirectEndpointPath: '/sso', postEndpointPath: '/sso',
      logoutEndpointPaths: { redirect: '/slo', post: '/slo' },
    })(request, response, next);
  });
  // many a provider answers the form by sending on to a page to sign in on another host
  app.post('/sso', (request, response, next) => {
    if (!idp.flags.moves) return next();
    idp.asked.push({ method: 'POST', moved: true });
    return response.redirect(303, `http://127.0.0.1:${port}/sso?${new URLSearchParams(request.body)}`);
  });
  app.all('/sso', (request, response, next) => {
    const fields = request.method === 'GET' ? request.query : request.body;
    const signed = request.method === 'GET' ? 'Signature' in fields : /<\w+:Signature\b/.test(Buffer.from(fields.SAMLRequest, 'base64'));
    idp.asked.push({ method: request.method, signed });
    const { user = 'ada', index, format = 'email' } = idp.flags;
    participants.length = 0;
    participants.push({
      serviceProviderId: idp.sp.entityId, nameId: `${user}@${domain}`, nameIdFormat: FORMATS[format], sessionIndex: index,
      serviceProviderLogoutURL: idp.sp.sloUrl, cert: idp.sp.certificate,
    });
    samlp.auth(options(fields.RelayState))(request, response, next);
  });
  app.get('/begin', (request, response, next) => {
    samlp.auth(options(request.query.state ?? ''))(request, response, next);
  });
  const kept = new Map();
  const logout = (request, response, next) => {
    const by = idp.flags.logout ?? 'redirect';
    const [participant] = participants;
    const carried = request.method === 'GET' ? request.query : request.body;
    if (carried.SAMLResponse) idp.loggedOut = { by: request.method, signed: 'Signature' in carried || /Signature/.test(Buffer.from(carried.SAMLResponse, 'base64')) };
    // `forges`: signs by a key that nobody has pinned
    const signs = idp.flags.forges ?? own;
    samlp.logout({
      issuer: idp.entityId, cert: signs.cert, key: signs.key, deflate: by === 'redirect', signatureAlgorithm: 'rsa-sha256', digestAlgorithm: 'sha256',
      protocolBinding: `urn:oasis:names:tc:SAML:2.0:bindings:HTTP-${by === 'redirect' ? 'Redirect' : 'POST'}`,
      sessionParticipants: {
        hasElements: () => participants.length > 0,
        getFirst: (done) => done(null, participant),
        // an order of the service names the session that it was given, and no other
        get: (issuer, indices, name, done) => {
          const meant = participant && issuer === participant.serviceProviderId && name === participant.nameId && indices?.includes(participant.sessionIndex);
          done(null, carried.SAMLResponse || meant ? participant : undefined);
        },
        // asked for once the signature of the message has been checked
        remove: (_issuer, index, name, done) => {
          if (carried.SAMLRequest) idp.ended = { name, index, by: request.method };
          participants.length = 0;
          done(null);
        },
      },
      store: {
        save: (_request, state, done) => { const id = `s${kept.size}`; kept.set(id, state); done(null, id); },
        load: (_request, id, ...rest) => rest.at(-1)(null, kept.get(id)),
        update: (_request, id, state, done) => { kept.set(id, state); done(null); },
      },
    })(request, { set: response.set.bind(response), redirect: response.redirect.bind(response), send: (body) => (body === 200 ? response.send('<p id="done">Signed out everywhere</p>') : response.send(body)) }, next);
  };
  app.all(['/logout', '/slo'], logout);
  app.use((error, _request, response, _next) => {
    response.status(400).send(`<p id="error">samlp: ${String(error.message ?? error).replace(/</g, '&lt;')}</p>`);
  });
  return idp;
}

/** Needs to know the service from the start: `sp` is its metadata. */
export async function startPysaml2({ domain, port, sp, wantSigned = false }) {
  port ??= await freePort();
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'authd-pysaml2-'));
  const own = keyPair(folder);
  fs.writeFileSync(path.join(folder, 'sp.xml'), sp);
  const program = fileURLToPath(new URL('saml/pysaml2_idp.py', import.meta.url));
  const child = spawn(python, [program, '--port', port, '--domain', domain, '--sp-metadata', path.join(folder, 'sp.xml'), '--key', own.files.key, '--cert', own.files.cert,
    ...(wantSigned ? ['--want-signed'] : [])], { stdio: ['ignore', 'ignore', 'pipe'], cwd: folder });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text) => { said += text; });
  const gone = new Promise((done) => child.once('exit', done));
  process.once('exit', () => child.kill('SIGKILL'));
  const origin = `http://localhost:${port}`;
  const here = `http://127.0.0.1:${port}`;
  for (let left = 600; ; left -= 1) {
    const answer = await fetch(`${here}/metadata`).catch(() => undefined);
    await answer?.body?.cancel();
    if (answer?.ok) break;
    if (left === 0 || child.exitCode !== null) throw new Error(`pysaml2 did not start: ${said.slice(-2000)}`);
    await sleep(50);
  }
  return {
    domain,
    port,
    origin,
    entityId: `${origin}/metadata`,
    metadataUrl: `${here}/metadata`,
    cert: own.cert,
    set: async (words = {}) => assert.ok((await fetch(`${here}/set?${new URLSearchParams(words)}`)).ok),
    lastEnded: async () => (await fetch(`${here}/ended`)).json(),
    said: () => said,
    close: async () => {
      child.kill();
      await gone;
      fs.rmSync(folder, { recursive: true, force: true });
    },
  };
}
