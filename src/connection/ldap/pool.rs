//! What is kept of directories between requests: one searching connection each, whose certificates are believed, and how
//! long authd's own account is left alone.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use rustls::ClientConfig;
use tokio::time::{Instant, timeout_at};

use super::config::{BindMode, Config, secret_place};
use super::connect::{self, IDLE, Passed};
use super::pause::Pause;
use super::session::{Bound, Session};
use super::tls;
use super::trouble::{Step, Trouble};
use crate::access::Context;
use crate::crypto::{Secret, sha256};
use crate::id::ConnectionId;

/// The directories of all connections. Shared by every request; made once.
#[derive(Default)]
pub struct Directories {
    all: Mutex<HashMap<ConnectionId, Arc<Directory>>>,
}

impl Directories {
    /// The directory of a connection; a fresh one when it was configured anew.
    pub fn of(&self, cx: &Context, connection: ConnectionId, config: &Config) -> Arc<Directory> {
        let setting = sha256(&[&minicbor::to_vec(config).unwrap_or_default()]);
        let now = cx.env.monotonic();
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.values().for_each(|directory| directory.close_idle(now));
        match all.get(&connection) {
            Some(known) if known.setting == setting => Arc::clone(known),
            _ => {
                let made = Arc::new(Directory { setting, ..Directory::default() });
                all.insert(connection, Arc::clone(&made));
                made
            }
        }
    }
}

/// A searching connection, and when it was used last.
struct Kept {
    session: Arc<Session>,
    used: Duration,
}

/// What is kept of one directory.
#[derive(Default)]
pub struct Directory {
    setting: [u8; 32],
    trust: OnceLock<Arc<ClientConfig>>,
    /// Whoever holds the lock is the one who connects.
    service: tokio::sync::Mutex<Option<Kept>>,
    pause: Pause,
}

impl Directory {
    fn close_idle(&self, now: Duration) {
        if let Ok(mut kept) = self.service.try_lock()
            && kept.as_ref().is_some_and(|kept| now.saturating_sub(kept.used) >= IDLE)
        {
            *kept = None;
        }
    }

    /// How certificates are checked; kept, so that a second handshake with the same server is a short one.
    pub fn trust(&self, cx: &Context, config: &Config) -> Result<Arc<ClientConfig>, Trouble> {
        if let Some(trust) = self.trust.get() {
            return Ok(Arc::clone(trust));
        }
        let made = tls::config(&cx.env, config.servers.ca_certificates.as_deref());
        let made = made.map_err(|error| Trouble::of(Step::Tls, error))?;
        Ok(Arc::clone(self.trust.get_or_init(|| made)))
    }

    /// The connection to search with; the second part tells whether it was kept, and may lead nowhere any more. A new one goes
    /// to a server that is not to be avoided, if it can.
    pub async fn service(
        &self,
        cx: &Context,
        connection: ConnectionId,
        config: &Config,
        avoid: &[String],
        until: Instant,
    ) -> Result<(Arc<Session>, bool), Trouble> {
        let mut kept = self.service.lock().await;
        let now = cx.env.monotonic();
        if let Some(kept) = kept.as_mut()
            && kept.session.is_alive()
            && now.saturating_sub(kept.used) < IDLE
        {
            kept.used = now;
            return Ok((Arc::clone(&kept.session), true));
        }
        *kept = None;
        let session = Arc::new(self.fresh(cx, connection, config, avoid, until, &mut Passed::new()).await?);
        *kept = Some(Kept { session: Arc::clone(&session), used: now });
        Ok((session, false))
    }

    /// Gives up a connection that turned out to be no good.
    pub async fn discard(&self, session: &Arc<Session>) {
        let mut kept = self.service.lock().await;
        if kept.as_ref().is_some_and(|kept| Arc::ptr_eq(&kept.session, session)) {
            *kept = None;
        }
    }

    /// Gives up whichever connection is kept, unless somebody is just making one.
    pub fn forget(&self) {
        if let Ok(mut kept) = self.service.try_lock() {
            *kept = None;
        }
    }

    /// A connection of its own, bound as authd's account where there is one. A server that is not well, by whatever step,
    /// gives way to the next; what is wrong with the account, every server would say.
    pub async fn fresh(
        &self,
        cx: &Context,
        connection: ConnectionId,
        config: &Config,
        avoid: &[String],
        until: Instant,
        passed: &mut Passed,
    ) -> Result<Session, Trouble> {
        let account = match config.mode() {
            BindMode::Service => Some(account(cx, connection, config)?),
            BindMode::Anonymous | BindMode::Direct => None,
        };
        let now = cx.env.monotonic();
        if account.is_some()
            && let Some(left) = self.pause.left(now)
        {
            let seconds = left.as_secs().max(1);
            return Err(Trouble::unavailable(
                Step::ServiceBind,
                format!("the directory refused authd's own account; it is tried again in {seconds} seconds"),
            ));
        }
        let trust = self.trust(cx, config)?;
        let urls = connect::order(config, "", avoid);
        let mut last = None;
        for (number, url) in urls.iter().enumerate() {
            let until = connect::share(until, urls.len() - number);
            let account = account.as_ref().map(|(name, password)| (*name, password));
            match bound(cx, config, &trust, url, account, until, passed).await {
                Ok(session) => {
                    self.pause.over();
                    return Ok(session);
                }
                Err(trouble) if trouble.step < Step::ServiceBind || trouble.is_of_the_server() => last = Some(trouble),
                Err(trouble) => {
                    if trouble.code == Some(49) {
                        self.pause.refused(now);
                    }
                    return Err(trouble);
                }
            }
        }
        Err(last.unwrap_or_else(|| Trouble::unavailable(Step::Dns, "the connection names no server")))
    }
}

/// A connection to one server, bound as that account.
async fn bound(
    cx: &Context,
    config: &Config,
    trust: &Arc<ClientConfig>,
    url: &str,
    account: Option<(&str, &Secret)>,
    until: Instant,
    passed: &mut Passed,
) -> Result<Session, Trouble> {
    let session = connect::open_knowing(&cx.env, config, trust, &[url], until, passed).await?;
    let Some((name, password)) = account else {
        passed.push((Step::ServiceBind, "none: the directory is searched without an account".to_owned()));
        return Ok(session);
    };
    let answer = timeout_at(until, session.bind(Step::ServiceBind, name, password)).await;
    match answer.unwrap_or_else(|_| Err(Trouble::late(Step::ServiceBind)))? {
        Bound::Yes => {
            passed.push((Step::ServiceBind, name.to_owned()));
            Ok(session)
        }
        Bound::Barred(reason) => Err(Trouble::unavailable(Step::ServiceBind, reason.says).coded(0)),
        Bound::No { code, text, reason } => Err(match reason {
            Some(reason) => Trouble::unavailable(Step::ServiceBind, reason.says).coded(code),
            None => Trouble::code(Step::ServiceBind, code, &text),
        }),
    }
}

fn account<'a>(cx: &Context, connection: ConnectionId, config: &'a Config) -> Result<(&'a str, Secret), Trouble> {
    let none = || Trouble::unavailable(Step::ServiceBind, "the account that it searches with is not set");
    let name = config.bind.dn.as_deref().ok_or_else(none)?;
    let sealed = config.bind.password.as_ref().ok_or_else(none)?;
    let plain = cx.deployment.master_key.open(&secret_place(connection), sealed);
    let plain = plain.map_err(|error| Trouble::of(Step::ServiceBind, error))?;
    let password = std::str::from_utf8(&plain).map_err(|_| none())?;
    // An empty one would be an anonymous bind that passes for a good one.
    if super::is_no_password(password) {
        return Err(none());
    }
    Ok((name, Secret::new(password)))
}
