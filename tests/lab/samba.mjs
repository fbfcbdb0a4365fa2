// Debian's Samba as an Active Directory controller for one test: people, groups in groups, accounts that may not sign in.
import { execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { certificates } from './slapd.mjs';

const SAMBA = '/usr/sbin/samba';
const TOOL = '/usr/bin/samba-tool';
/** Those of Active Directory: Samba has no others. */
export const PORT = 389;
export const TLS_PORT = 636;

const taken = (port) => new Promise((done) => {
  const socket = net.connect(port, '127.0.0.1', () => { socket.destroy(); done(true); }).on('error', () => done(false));
});

async function why() {
  if (!fs.existsSync(SAMBA) || !fs.existsSync(TOOL)) return 'samba-ad-dc is not installed: tests/run installs it';
  if (process.getuid() !== 0) return 'a domain controller runs as root, and this is somebody else';
  for (const port of [PORT, TLS_PORT, 3268, 3269]) {
    if (await taken(port)) return `somebody listens on port ${port}, which the domain controller needs`;
  }
  return false;
}

/** Why nothing can run here; false when it can. In the form that `node:test` takes for `skip`. */
export const noSamba = await why();

export const BASE = 'DC=corp,DC=example,DC=test';
export const PEOPLE = `OU=people,${BASE}`;
export const SERVICE = { name: 'svc@corp.example.test', password: 'Svc-Secret-1' };
export const ADMIN = { name: 'Administrator@corp.example.test', password: 'Admin-Secret-1' };

/** A password as the directory takes it: within quotes, in UTF-16. */
const unicode = (password) => Buffer.from(`"${password}"`, 'utf16le').toString('base64');

function person({ cn, account, password, mail = `${account}@example.test`, flags = 512, more = '' }) {
  const dn = `CN=${cn},${PEOPLE}`;
  return `dn:: ${Buffer.from(dn).toString('base64')}
changetype: add
objectClass: user
sAMAccountName: ${account}
userPrincipalName: ${account}@corp.example.test
mail: ${mail}
displayName:: ${Buffer.from(cn.replaceAll('\\', '')).toString('base64')}
unicodePwd:: ${unicode(password)}
userAccountControl: ${flags}
${more}
`;
}

const group = (cn, ...members) => `dn: CN=${cn},${PEOPLE}
changetype: add
objectClass: group
sAMAccountName: ${cn}
${members.map((member) => `member: CN=${member},${PEOPLE}\n`).join('')}
`;

const LDIF = [
  `dn: ${PEOPLE}\nchangetype: add\nobjectClass: organizationalUnit\n\n`,
  person({ cn: 'Service', account: 'svc', password: SERVICE.password }),
  person({ cn: 'Ada Lovelace', account: 'ada', password: 'Ada-Secret-1', more: 'givenName: Ada\nsn: Lovelace\n' }),
  person({ cn: 'Böb (X)* Ümläut', account: "b.o'b", password: 'Böb-Sécret-1', mail: 'bob@example.test' }),
  person({ cn: 'Dora Disabled', account: 'dora', password: 'Dora-Secret-1', flags: 514 }),
  person({ cn: 'Mia Must Change', account: 'mia', password: 'Mia-Secret-1', more: 'pwdLastSet: 0\n' }),
  // 2020-01-01
  person({ cn: 'Eve Expired', account: 'eve', password: 'Eve-Secret-1', more: 'accountExpires: 132223104000000000\n' }),
  ...Array.from({ length: 30 }, (_, n) => person({ cn: `Crowd ${n}`, account: `crowd${n}`, password: `Crowd-Secret-${n}` })),
  group('engineers', 'Ada Lovelace'),
  group('staff', 'engineers'),
  group('everybody', 'staff'),
].join('');

/** A running domain controller: its addresses, the file of its authority, `change` and `close`. Throws where it does not start. */
export async function startSamba() {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'authd-samba-'));
  const file = (name) => path.join(dir, name);
  const remove = () => fs.rmSync(dir, { recursive: true, force: true });
  certificates(dir);
  fs.chmodSync(file('server.key'), 0o600);
  let child;
  try {
    execFileSync(TOOL, ['domain', 'provision', `--targetdir=${file('dc')}`, '--realm=CORP.EXAMPLE.TEST', '--domain=CORP',
      `--adminpass=${ADMIN.password}`, '--server-role=dc', '--dns-backend=NONE', '--host-name=dc1', '--host-ip=127.0.0.1',
      '--option=interfaces=lo', '--option=bind interfaces only=yes'], { stdio: 'pipe', timeout: 120_000 });
    const options = {
      'server services': 'ldap', 'pid directory': dir, 'log file': file('log'), 'ldap server require strong auth': 'yes',
      'tls enabled': 'yes', 'tls cafile': file('ca.crt'), 'tls certfile': file('server.crt'), 'tls keyfile': file('server.key'),
    };
    child = spawn(SAMBA, ['-i', '-M', 'single', '--debug-stdout', '-s', file('dc/etc/smb.conf'),
      ...Object.entries(options).map(([name, value]) => `--option=${name}=${value}`)], { stdio: 'ignore' });
  } catch (error) {
    remove();
    throw error;
  }
  const kill = () => child.kill('SIGKILL');
  process.on('exit', kill);
  const close = async () => {
    process.off('exit', kill);
    child.kill('SIGKILL');
    remove();
  };
  for (let left = 300; !(await taken(TLS_PORT)); left -= 1) {
    if (left === 0 || child.exitCode !== null) {
      await close();
      throw new Error('the domain controller did not start');
    }
    await sleep(100);
  }
  const as = ['-x', '-H', `ldaps://127.0.0.1:${TLS_PORT}`, '-D', ADMIN.name, '-w', ADMIN.password];
  const env = { ...process.env, LDAPTLS_CACERT: file('ca.crt') };
  const change = (ldif) => execFileSync('ldapmodify', as, { input: ldif, env, stdio: ['pipe', 'pipe', 'pipe'] });
  try {
    // A password that must change counts from the moment it was set: the policy of the domain is not in the way.
    execFileSync(TOOL, ['domain', 'passwordsettings', 'set', '--complexity=on', '--min-pwd-age=0', '-s', file('dc/etc/smb.conf')], { stdio: 'pipe' });
    change(LDIF);
  } catch (error) {
    await close();
    throw error;
  }
  return {
    ldaps: `ldaps://127.0.0.1:${TLS_PORT}`,
    url: `ldap://127.0.0.1:${PORT}`,
    ca: fs.readFileSync(file('ca.crt'), 'utf8'),
    change,
    /** The one value of a binary attribute. */
    bytes: (account, attribute) => {
      const out = execFileSync('ldapsearch', [...as, '-LLL', '-o', 'ldif-wrap=no', '-b', BASE, `(sAMAccountName=${account})`, attribute], { env, encoding: 'utf8' });
      return Buffer.from(new RegExp(`^${attribute}:: (.*)$`, 'm').exec(out)[1], 'base64');
    },
    close,
  };
}
