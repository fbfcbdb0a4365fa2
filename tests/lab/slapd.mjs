// Debian's OpenLDAP for one test: people with hard names, a group, StartTLS and ldaps under an authority of its own.
import { execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from './web.mjs';

const SLAPD = '/usr/sbin/slapd';

/** Why nothing can run here; false when it can. In the form that `node:test` takes for `skip`. */
export const noSlapd = !fs.existsSync(SLAPD) && 'slapd is not installed: tests/run installs it';

export const BASE = 'ou=people,dc=example,dc=test';
export const GROUPS = 'ou=groups,dc=example,dc=test';
export const SERVICE = { dn: 'cn=svc,dc=example,dc=test', password: 'svc-secret' };

const LDIF = `dn: dc=example,dc=test
objectClass: dcObject
objectClass: organization
o: Example
dc: example

dn: ${BASE}
objectClass: organizationalUnit
ou: people

dn: ${GROUPS}
objectClass: organizationalUnit
ou: groups

dn: ${SERVICE.dn}
objectClass: organizationalRole
objectClass: simpleSecurityObject
cn: svc
userPassword: ${SERVICE.password}

dn: uid=ada,${BASE}
objectClass: inetOrgPerson
uid: ada
cn: Ada Lovelace
givenName: Ada
sn: Lovelace
mail: ada@example.test
userPassword: ada-secret

dn: uid=b(ob)*,${BASE}
objectClass: inetOrgPerson
uid: b(ob)*
cn: Böb Ümläut
sn: Ümläut
mail: bob@example.test
userPassword: bob-sécret

dn: cn=engineers,${GROUPS}
objectClass: groupOfNames
cn: engineers
member: uid=ada,${BASE}

dn: cn=staff,${GROUPS}
objectClass: groupOfNames
cn: staff
member: cn=engineers,${GROUPS}
`;

/** A certificate for this machine, and the authority that it is of. */
export function certificates(dir) {
  const openssl = (...args) => execFileSync('openssl', args, { cwd: dir, stdio: 'ignore' });
  openssl('req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-keyout', 'ca.key', '-out', 'ca.crt', '-subj', '/CN=lab',
    '-addext', 'basicConstraints=critical,CA:TRUE', '-addext', 'keyUsage=critical,keyCertSign,cRLSign');
  openssl('req', '-newkey', 'rsa:2048', '-nodes', '-keyout', 'server.key', '-out', 'server.csr', '-subj', '/CN=localhost');
  fs.writeFileSync(path.join(dir, 'ext'), 'subjectAltName=IP:127.0.0.1,DNS:localhost\nextendedKeyUsage=serverAuth\nbasicConstraints=CA:FALSE\n');
  openssl('x509', '-req', '-in', 'server.csr', '-CA', 'ca.crt', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2', '-extfile', 'ext', '-out', 'server.crt');
}

/** A running directory: its addresses, the file of its authority, and `close`. */
export async function startSlapd() {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'authd-slapd-'));
  const file = (name) => path.join(dir, name);
  fs.mkdirSync(file('db'));
  certificates(dir);
  fs.writeFileSync(file('people.ldif'), LDIF);
  const [port, tlsPort] = [await freePort(), await freePort()];
  fs.writeFileSync(file('slapd.conf'), `${['core', 'cosine', 'inetorgperson'].map((s) => `include /etc/ldap/schema/${s}.schema`).join('\n')}
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile ${file('pid')}
argsfile ${file('args')}
TLSCACertificateFile ${file('ca.crt')}
TLSCertificateFile ${file('server.crt')}
TLSCertificateKeyFile ${file('server.key')}
database mdb
suffix dc=example,dc=test
rootdn cn=admin,dc=example,dc=test
rootpw admin-secret
directory ${file('db')}
index objectClass,uid,mail,member eq
access to attrs=userPassword by anonymous auth by * none
access to * by dn.exact="${SERVICE.dn}" read by self read by anonymous auth by * none
`);
  execFileSync('/usr/sbin/slapadd', ['-f', file('slapd.conf'), '-l', file('people.ldif')], { stdio: 'ignore' });
  const child = spawn(SLAPD, ['-d', '0', '-f', file('slapd.conf'), '-h', `ldap://127.0.0.1:${port} ldaps://127.0.0.1:${tlsPort}`], { stdio: 'ignore' });
  const kill = () => child.kill('SIGKILL');
  process.on('exit', kill);
  for (let left = 200; left > 0; left -= 1) {
    const open = await new Promise((done) => {
      const socket = net.connect(port, '127.0.0.1', () => { socket.destroy(); done(true); }).on('error', () => done(false));
    });
    if (open) break;
    if (left === 1) throw new Error('slapd did not start');
    await sleep(50);
  }
  return {
    port,
    tlsPort,
    url: `ldap://127.0.0.1:${port}`,
    ldaps: `ldaps://127.0.0.1:${tlsPort}`,
    ca: fs.readFileSync(file('ca.crt'), 'utf8'),
    close: async () => {
      process.off('exit', kill);
      child.kill('SIGKILL');
      fs.rmSync(dir, { recursive: true, force: true });
    },
  };
}
