// npm @node-saml/node-saml as the peer of `cargo bench --bench saml`: it validates the same answer, over and over.
//
//   node saml_peer.mjs FILE
//
// FILE is JSON: answer (base64), certificate (PEM), issuer, audience, acs. Each line on standard input is a number of
// milliseconds; what comes back is one line of JSON for it: how many answers it validated in that time, and what processor
// time that took. Nothing is remembered between two of them: no request id is looked up, no assertion is kept.
import fs from 'node:fs';
import readline from 'node:readline';
import { SAML } from '@node-saml/node-saml';

const given = JSON.parse(fs.readFileSync(process.argv[2], 'utf8'));
const saml = new SAML({
  idpCert: given.certificate,
  issuer: given.audience,
  audience: given.audience,
  callbackUrl: given.acs,
  idpIssuer: given.issuer,
  wantAssertionsSigned: true,
  wantAuthnResponseSigned: false,
  validateInResponseTo: 'never',
  acceptedClockSkewMs: 120_000,
});

const once = async () => {
  const { profile } = await saml.validatePostResponseAsync({ SAMLResponse: given.answer });
  if (!profile?.nameID) throw new Error('the answer was not accepted');
};
// the first ones are slower: they are compiled
for (let n = 0; n < 100; n += 1) await once();
console.log('ready');
for await (const line of readline.createInterface({ input: process.stdin })) {
  const until = performance.now() + Number(line);
  const before = process.cpuUsage();
  const began = performance.now();
  let count = 0;
  while (performance.now() < until) {
    await once();
    count += 1;
  }
  const wallMs = performance.now() - began;
  const { user, system } = process.cpuUsage(before);
  console.log(JSON.stringify({ count, wallMs, cpuMs: (user + system) / 1000 }));
}
