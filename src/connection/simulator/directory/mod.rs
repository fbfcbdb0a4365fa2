//! # simulator::directory — a test directory with the same people
//!
//! *Owns* a small LDAP server: simple binds, searches with filters, and faults that a password asks for.
//! *Gives* `Directory::serve` for a listener on loopback. *Needs* the simulator's people.
//! *Never* runs off loopback, never keeps or changes anything, never shares a line with the client that it tests.
//!
//! Everybody's password is `demo`. Other passwords show what goes wrong: see [`FAULTS`].

mod entries;
mod wire;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

pub use entries::{BASE, DOMAIN, GROUPS, PEOPLE_BASE};
use entries::{Entry, all};
use wire::{Asked, Request};

use crate::crypto::{Secret, same};
use crate::error::{Error, Result, codes};

/// The password that is right.
pub const PASSWORD: &str = "demo";
/// The account that authd searches with.
pub const SERVICE: &str = "cn=authd,dc=directory,dc=example";
/// Passwords that show a fault, the code that Active Directory would give for it, and what it means.
pub const FAULTS: &[(&str, &str, &str)] = &[
    ("disabled", "533", "the account is disabled"),
    ("locked", "775", "the account is locked"),
    ("expired", "532", "the password has expired"),
    ("must-change", "773", "the password must be changed first"),
];
/// Passwords that make the server itself misbehave: too slow to wait for, and gone.
pub const BROKEN: &[&str] = &["slow", "gone"];

/// Longer than anybody waits.
const SLOW: Duration = Duration::from_secs(12);
/// A longer question is not listened to.
const MAX_QUESTION: usize = 64 * 1024;
/// So many may be connected.
const MAX_CONNECTIONS: usize = 64;
/// Who says nothing for so long is cut off.
const IDLE: Duration = Duration::from_secs(300);

/// The test directory. Cheap to clone.
#[derive(Clone)]
pub struct Directory {
    entries: Arc<Vec<Entry>>,
    secret: Secret,
    places: Arc<Semaphore>,
}

impl Directory {
    /// With the password that authd's own account has there.
    pub fn new(secret: Secret) -> Self {
        Self { entries: Arc::new(all()), secret, places: Arc::new(Semaphore::new(MAX_CONNECTIONS)) }
    }

    /// Serves until it is dropped. Errors: `config_invalid` for a listener that is not on loopback.
    pub async fn serve(self, listener: TcpListener) -> Result<()> {
        let at: Option<SocketAddr> = listener.local_addr().ok();
        if !at.is_some_and(|at| at.ip().is_loopback()) {
            return Err(Error::says(&codes::CONFIG_INVALID, "The test directory runs on loopback only."));
        }
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                // Out of file descriptors, most likely: not a reason to spin.
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
                let directory = self.clone();
                tokio::spawn(async move {
                    directory.talk(stream).await;
                    drop(place);
                });
            }
        }
    }

    async fn talk(&self, mut stream: TcpStream) -> Option<()> {
        let (mut buffer, mut chunk) = (Vec::new(), [0; 4096]);
        // Whoever has bound may search.
        let mut bound = false;
        loop {
            while let Some(length) = wire::frame(&buffer, MAX_QUESTION)? {
                let message: Vec<u8> = buffer.drain(..length).collect();
                let Request { id, asked } = wire::read(&message)?;
                let answer = match asked {
                    Asked::Bind { name, password } => {
                        let (code, text) = self.bind(&name, &password).await?;
                        bound = code == 0 && !name.is_empty();
                        wire::result(id, wire::BIND, code, text)
                    }
                    Asked::Search { .. } if !bound => wire::result(id, wire::DONE, 1, "bind first"),
                    Asked::Search { base, scope, limit, filter, attributes } => {
                        self.search(id, &base, scope, limit, &filter, &attributes)
                    }
                    Asked::Farewell => return None,
                    Asked::Other => wire::result(id, wire::EXTENDED, 2, "not served"),
                };
                stream.write_all(&answer).await.ok()?;
            }
            let read = tokio::time::timeout(IDLE, stream.read(&mut chunk)).await.ok()?.ok()?;
            if read == 0 {
                return None;
            }
            buffer.extend_from_slice(chunk.get(..read)?);
        }
    }

    /// How a bind ends; `None` where the server hangs up.
    async fn bind(&self, name: &str, password: &str) -> Option<(u8, &'static str)> {
        let wrong = (49, "80090308: LdapErr: DSID-0C090400, comment: AcceptSecurityContext error, data 52e, v1db1");
        if password.is_empty() {
            // RFC 4513 §5.1.2: a bind without a password is nobody's, and most directories let nobody in.
            return Some(if name.is_empty() { (0, "") } else { (53, "unauthenticated bind") });
        }
        if entries::same_name(name, SERVICE) {
            let right = same(password.as_bytes(), self.secret.expose().as_bytes());
            return Some(if right { (0, "") } else { wrong });
        }
        if !self.entries.iter().any(|entry| entry.is_person() && entries::same_name(&entry.dn, name)) {
            return Some((
                49,
                "80090308: LdapErr: DSID-0C090400, comment: AcceptSecurityContext error, data 525, v1db1",
            ));
        }
        match password {
            PASSWORD => Some((0, "")),
            "slow" => {
                tokio::time::sleep(SLOW).await;
                Some(wrong)
            }
            "gone" => None,
            "disabled" => Some((49, "AcceptSecurityContext error, data 533, v1db1")),
            "locked" => Some((49, "AcceptSecurityContext error, data 775, v1db1")),
            "expired" => Some((49, "AcceptSecurityContext error, data 532, v1db1")),
            "must-change" => Some((49, "AcceptSecurityContext error, data 773, v1db1")),
            _ => Some(wrong),
        }
    }

    fn search(
        &self,
        id: u32,
        base: &str,
        scope: u8,
        limit: usize,
        filter: &wire::Filter,
        wanted: &[String],
    ) -> Vec<u8> {
        if !self.entries.iter().any(|entry| entries::same_name(&entry.dn, base)) {
            return wire::result(id, wire::DONE, 32, "no such object");
        }
        let mut out = Vec::new();
        let (mut count, mut code) = (0, 0);
        let fits = |entry: &&Entry| entry.is_in(base, scope) && filter.fits(entry);
        for entry in self.entries.iter().filter(fits) {
            if limit > 0 && count == limit {
                code = 4;
                break;
            }
            count += 1;
            out.extend(wire::entry(id, entry, wanted));
        }
        out.extend(wire::result(id, wire::DONE, code, ""));
        out
    }
}
