//! Debian's OpenLDAP, started for one test and gone after it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::certificates::Authority;

pub const ADMIN: (&str, &str) = ("cn=admin,dc=example,dc=test", "admin-secret");

/// People, one of them with a name that is hard to spell, and groups that lie in each other, in a circle.
const PEOPLE: &str = "\
dn: dc=example,dc=test
objectClass: top
objectClass: dcObject
objectClass: organization
o: Example
dc: example

dn: ou=people,dc=example,dc=test
objectClass: organizationalUnit
ou: people

dn: ou=groups,dc=example,dc=test
objectClass: organizationalUnit
ou: groups

dn: ou=elsewhere,dc=example,dc=test
objectClass: organizationalUnit
ou: elsewhere

dn: cn=svc,dc=example,dc=test
objectClass: organizationalRole
objectClass: simpleSecurityObject
cn: svc
userPassword: svc-secret

dn: cn=limited,dc=example,dc=test
objectClass: organizationalRole
objectClass: simpleSecurityObject
cn: limited
userPassword: limited-secret

dn: cn=policy,dc=example,dc=test
objectClass: device
objectClass: pwdPolicy
cn: policy
pwdAttribute: userPassword
pwdMustChange: TRUE

dn: uid=ada,ou=people,dc=example,dc=test
objectClass: inetOrgPerson
uid: ada
cn: Ada Lovelace
givenName: Ada
sn: Lovelace
mail: ada@example.test
userPassword: ada-secret-7c1f

dn: uid=b(ob)*,ou=people,dc=example,dc=test
objectClass: inetOrgPerson
uid: b(ob)*
cn: Böb Ümläut
sn: Ümläut
mail: bob@example.test
userPassword: bob-sécret

dn: uid=zoë 山田\\, \\+x,ou=people,dc=example,dc=test
objectClass: inetOrgPerson
uid: zoë 山田, +x
cn: Zoë
sn: 山田
mail: zoe@example.test
userPassword: zoë-пароль

dn: uid=gone,ou=people,dc=example,dc=test
objectClass: inetOrgPerson
objectClass: shadowAccount
uid: gone
cn: Gone
sn: Gone
mail: gone@example.test
shadowExpire: 1
userPassword: gone-secret

dn: uid=outsider,ou=elsewhere,dc=example,dc=test
objectClass: inetOrgPerson
uid: outsider
cn: Outsider
sn: Outsider
userPassword: outsider-secret
";

const GROUPS: &str = "\
dn: cn=engineers,ou=groups,dc=example,dc=test
objectClass: groupOfNames
cn: engineers
member: uid=ada,ou=people,dc=example,dc=test
member: cn=circle,ou=groups,dc=example,dc=test

dn: cn=staff,ou=groups,dc=example,dc=test
objectClass: groupOfNames
cn: staff
member: cn=engineers,ou=groups,dc=example,dc=test
member: uid=b(ob)*,ou=people,dc=example,dc=test

dn: cn=circle,ou=groups,dc=example,dc=test
objectClass: groupOfNames
cn: circle
member: cn=staff,ou=groups,dc=example,dc=test

dn: cn=admins,ou=elsewhere,dc=example,dc=test
objectClass: groupOfNames
cn: admins
member: uid=ada,ou=people,dc=example,dc=test
";

/// A running slapd.
pub struct Slapd {
    child: Option<Child>,
    dir: tempfile::TempDir,
    pub port: u16,
    pub ldaps_port: u16,
    pub authority: Authority,
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn program(name: &str) -> Option<PathBuf> {
    ["/usr/sbin", "/usr/bin", "/sbin"].iter().map(|dir| Path::new(dir).join(name)).find(|path| path.exists())
}

impl Slapd {
    /// `None` where it is not installed (`tests/run` installs it): then there is nothing to test.
    pub async fn start() -> Option<Self> {
        let (Some(slapd), Some(slapadd)) = (program("slapd"), program("slapadd")) else {
            use std::io::Write as _;
            let _ = writeln!(std::io::stderr(), "skipped: slapd is not installed; tests/run installs it");
            return None;
        };
        let authority = Authority::new("The test's own authority");
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let signed = authority.sign(&["localhost", "127.0.0.1"], 2099);
        std::fs::write(at("ca.crt"), &authority.pem).unwrap();
        std::fs::write(at("server.crt"), &signed.certificate).unwrap();
        std::fs::write(at("server.key"), &signed.key).unwrap();
        std::fs::write(at("people.ldif"), PEOPLE).unwrap();
        std::fs::create_dir(at("db")).unwrap();
        let root = dir.path().display();
        let conf = format!(
            "include /etc/ldap/schema/core.schema\ninclude /etc/ldap/schema/cosine.schema\n\
             include /etc/ldap/schema/nis.schema\ninclude /etc/ldap/schema/inetorgperson.schema\n\
             modulepath /usr/lib/ldap\nmoduleload back_mdb\nmoduleload memberof\nmoduleload ppolicy\n\
             pidfile {root}/pid\nargsfile {root}/args\nallow bind_anon_dn\n\
             TLSCACertificateFile {root}/ca.crt\nTLSCertificateFile {root}/server.crt\n\
             TLSCertificateKeyFile {root}/server.key\nsizelimit 500\n\
             database mdb\nmaxsize 33554432\nsuffix dc=example,dc=test\nrootdn {}\nrootpw {}\ndirectory {root}/db\n\
             index objectClass,uid,mail,member,memberOf eq\n\
             overlay memberof\nmemberof-group-oc groupOfNames\nmemberof-member-ad member\n\
             memberof-memberof-ad memberOf\n\
             overlay ppolicy\nppolicy_default cn=policy,dc=example,dc=test\n\
             limits dn.exact=\"cn=svc,dc=example,dc=test\" size.prtotal=unlimited\n\
             access to attrs=userPassword by anonymous auth by * none\n\
             access to * by dn.exact=\"cn=svc,dc=example,dc=test\" read \
             by dn.exact=\"cn=limited,dc=example,dc=test\" read by self read by anonymous auth by * none\n",
            ADMIN.0, ADMIN.1
        );
        std::fs::write(at("slapd.conf"), conf).unwrap();
        let added = Command::new(slapadd).arg("-f").arg(at("slapd.conf")).arg("-l").arg(at("people.ldif")).output();
        let added = added.unwrap();
        assert!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
        let (port, ldaps_port) = (free_port(), free_port());
        let mut started = Self { child: None, dir, port, ldaps_port, authority };
        started.run(&slapd).await;
        // Over the wire, so that the overlay sees them.
        started.add(GROUPS);
        Some(started)
    }

    async fn run(&mut self, slapd: &Path) {
        let urls = format!("ldap://127.0.0.1:{} ldaps://127.0.0.1:{}", self.port, self.ldaps_port);
        let log = std::fs::File::create(self.dir.path().join("log")).unwrap();
        let child = Command::new(slapd)
            .args(["-d", "0", "-h", &urls, "-f"])
            .arg(self.dir.path().join("slapd.conf"))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.child = Some(child);
        for _ in 0..200 {
            if tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await.is_ok() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("slapd did not start: {}", std::fs::read_to_string(self.dir.path().join("log")).unwrap());
    }

    fn tool(&self, name: &str, ldif: &str) {
        let file = self.dir.path().join("change.ldif");
        std::fs::write(&file, ldif).unwrap();
        let url = format!("ldap://127.0.0.1:{}", self.port);
        let done = Command::new(program(name).expect("ldap-utils"))
            .args(["-x", "-H", &url, "-D", ADMIN.0, "-w", ADMIN.1, "-f"])
            .arg(file)
            .output()
            .unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }

    /// Adds entries, as the administrator.
    pub fn add(&self, ldif: &str) {
        self.tool("ldapadd", ldif);
    }

    /// Changes entries, as the administrator.
    pub fn modify(&self, ldif: &str) {
        self.tool("ldapmodify", ldif);
    }

    /// Removes an entry, as the administrator.
    pub fn delete(&self, dn: &str) {
        self.modify(&format!("dn: {dn}\nchangetype: delete\n"));
    }

    pub fn url(&self) -> String {
        format!("ldap://127.0.0.1:{}", self.port)
    }

    pub fn ldaps(&self) -> String {
        format!("ldaps://127.0.0.1:{}", self.ldaps_port)
    }

    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for Slapd {
    fn drop(&mut self) {
        self.stop();
    }
}
