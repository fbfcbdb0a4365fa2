// A fresh key with a certificate that it signs itself, as PEM.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

export function keyPairPem(name = 'idp') {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'authd-cert-'));
  try {
    const [key, cert] = [path.join(folder, 'key'), path.join(folder, 'crt')];
    execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '30', '-subj', `/CN=${name}`, '-keyout', key, '-out', cert], { stdio: 'ignore' });
    return { key: fs.readFileSync(key, 'utf8'), cert: fs.readFileSync(cert, 'utf8') };
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
}
