//! A directory in this process that answers as it is told: well, badly, or not at all. It reads and writes BER by a few
//! lines of its own.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::certificates::Signed;

/// One element.
pub fn ber(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    match content.len() {
        short @ 0..128 => out.push(short as u8),
        long => {
            out.push(0x84);
            out.extend((long as u32).to_be_bytes());
        }
    }
    out.extend_from_slice(content);
    out
}

/// A message of that number.
pub fn message(id: u32, op: u8, content: &[u8]) -> Vec<u8> {
    let number: Vec<u8> = id.to_be_bytes().into_iter().collect();
    ber(0x30, &[ber(2, &number), ber(op, content)].concat())
}

/// How an operation ended.
pub fn result(id: u32, op: u8, code: u8, matched: &str, text: &str) -> Vec<u8> {
    message(id, op, &[ber(10, &[code]), ber(4, matched.as_bytes()), ber(4, text.as_bytes())].concat())
}

pub const BIND: u8 = 0x61;
pub const DONE: u8 = 0x65;
pub const EXTENDED: u8 = 0x78;

/// An entry that was found.
pub fn entry(id: u32, dn: &str, attributes: &[(&str, &[u8])]) -> Vec<u8> {
    let pairs: Vec<u8> = attributes
        .iter()
        .flat_map(|(name, value)| ber(0x30, &[ber(4, name.as_bytes()), ber(0x31, &ber(4, value))].concat()))
        .collect();
    message(id, 0x64, &[ber(4, dn.as_bytes()), ber(0x30, &pairs)].concat())
}

/// Another server that could be asked.
pub fn reference(id: u32, url: &str) -> Vec<u8> {
    message(id, 0x73, &ber(4, url.as_bytes()))
}

/// What somebody asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    Bind { name: String, password: String },
    Search { base: String, filter: String },
    Extended { oid: String },
    Unbind,
    Other(u8),
}

/// A question, on which connection, under which number.
#[derive(Clone, Debug)]
pub struct Question {
    pub connection: usize,
    pub id: u32,
    pub asked: Asked,
    /// Controls came with it.
    pub controls: bool,
}

/// What is done about it.
pub enum Act {
    Say(Vec<u8>),
    /// One byte at a time, slowly.
    Drip(Vec<u8>),
    /// The same again and again, until the other side is gone.
    Flood(Vec<u8>),
    Nothing,
    Close,
    /// Says it, and begins TLS with that certificate.
    Encrypt(Vec<u8>, Arc<Signed>),
}

type Behaviour = dyn Fn(&Question) -> Act + Send + Sync;

/// A directory.
#[derive(Clone)]
pub struct Directory {
    pub address: SocketAddr,
    questions: Arc<Mutex<Vec<Question>>>,
    connections: Arc<AtomicUsize>,
    /// Every byte that came in plain text.
    plain: Arc<Mutex<Vec<u8>>>,
}

impl Directory {
    /// In plain text.
    pub async fn start(behaviour: impl Fn(&Question) -> Act + Send + Sync + 'static) -> Self {
        Self::listen(None, behaviour).await
    }

    /// Encrypted from the first byte on.
    pub async fn start_tls(signed: Signed, behaviour: impl Fn(&Question) -> Act + Send + Sync + 'static) -> Self {
        Self::listen(Some(signed.acceptor()), behaviour).await
    }

    async fn listen(
        acceptor: Option<tokio_rustls::TlsAcceptor>,
        behaviour: impl Fn(&Question) -> Act + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let directory = Self {
            address: listener.local_addr().unwrap(),
            questions: Arc::default(),
            connections: Arc::default(),
            plain: Arc::default(),
        };
        let (here, behaviour) = (directory.clone(), Arc::new(behaviour) as Arc<Behaviour>);
        tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else { continue };
                let number = here.connections.fetch_add(1, Ordering::SeqCst) + 1;
                let (here, behaviour, acceptor) = (here.clone(), Arc::clone(&behaviour), acceptor.clone());
                tokio::spawn(async move {
                    match acceptor {
                        None => here.plainly(stream, number, &behaviour).await,
                        Some(acceptor) => {
                            if let Ok(mut stream) = acceptor.accept(stream).await {
                                here.serve(&mut stream, number, &behaviour, false).await;
                            }
                        }
                    }
                });
            }
        });
        directory
    }

    async fn plainly(&self, mut stream: TcpStream, number: usize, behaviour: &Arc<Behaviour>) {
        if let Some((words, signed)) = self.serve(&mut stream, number, behaviour, true).await
            && stream.write_all(&words).await.is_ok()
            && let Ok(mut stream) = signed.acceptor().accept(stream).await
        {
            self.serve(&mut stream, number, behaviour, false).await;
        }
    }

    async fn serve(
        &self,
        stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
        connection: usize,
        behaviour: &Arc<Behaviour>,
        plain: bool,
    ) -> Option<(Vec<u8>, Arc<Signed>)> {
        let mut buffer = Vec::new();
        let mut chunk = [0; 4096];
        loop {
            while let Some((length, id, asked, controls)) = read(&buffer) {
                buffer.drain(..length);
                let question = Question { connection, id, asked, controls };
                self.questions.lock().unwrap().push(question.clone());
                match behaviour(&question) {
                    Act::Say(words) => stream.write_all(&words).await.ok()?,
                    Act::Drip(words) => {
                        for byte in words {
                            stream.write_all(&[byte]).await.ok()?;
                            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
                        }
                    }
                    Act::Flood(words) => loop {
                        stream.write_all(&words).await.ok()?;
                    },
                    Act::Nothing => {}
                    Act::Close => return None,
                    Act::Encrypt(words, signed) => return Some((words, signed)),
                }
            }
            let count = stream.read(&mut chunk).await.ok().filter(|count| *count > 0)?;
            buffer.extend_from_slice(&chunk[..count]);
            if plain {
                self.plain.lock().unwrap().extend_from_slice(&chunk[..count]);
            }
        }
    }

    pub fn url(&self) -> String {
        format!("ldap://{}", self.address)
    }

    pub fn ldaps(&self) -> String {
        format!("ldaps://{}", self.address)
    }

    pub fn questions(&self) -> Vec<Question> {
        self.questions.lock().unwrap().clone()
    }

    /// The names that were bound, in order, each with its connection.
    pub fn binds(&self) -> Vec<(usize, String, String)> {
        let bind = |question: Question| match question.asked {
            Asked::Bind { name, password } => Some((question.connection, name, password)),
            _ => None,
        };
        self.questions().into_iter().filter_map(bind).collect()
    }

    pub fn filters(&self) -> Vec<String> {
        let filter = |question: Question| match question.asked {
            Asked::Search { filter, .. } => Some(filter),
            _ => None,
        };
        self.questions().into_iter().filter_map(filter).collect()
    }

    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Whether these bytes ever came in plain text.
    pub fn heard(&self, bytes: &[u8]) -> bool {
        self.plain.lock().unwrap().windows(bytes.len()).any(|window| window == bytes)
    }
}

fn header(bytes: &[u8]) -> Option<(u8, usize, usize)> {
    let (tag, first) = (*bytes.first()?, *bytes.get(1)?);
    if first < 0x80 {
        return Some((tag, 2, first as usize));
    }
    let count = (first & 0x7f) as usize;
    let length = bytes.get(2..2 + count)?.iter().fold(0, |sum, digit| (sum << 8) | *digit as usize);
    Some((tag, 2 + count, length))
}

fn parts(mut content: &[u8]) -> Vec<(u8, &[u8])> {
    let mut all = Vec::new();
    while let Some((tag, start, length)) = header(content) {
        all.push((tag, &content[start..start + length]));
        content = &content[start + length..];
    }
    all
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn read(bytes: &[u8]) -> Option<(usize, u32, Asked, bool)> {
    let (_, start, length) = header(bytes)?;
    let whole = bytes.get(start..start + length)?;
    let all = parts(whole);
    let id = all[0].1.iter().fold(0, |sum, digit| (sum << 8) | u32::from(*digit));
    let (op, content) = all[1];
    let asked = match op {
        0x60 => {
            let fields = parts(content);
            Asked::Bind { name: text(fields[1].1), password: text(fields[2].1) }
        }
        0x63 => {
            let fields = parts(content);
            Asked::Search { base: text(fields[0].1), filter: filter(fields[6]) }
        }
        0x77 => Asked::Extended { oid: text(parts(content)[0].1) },
        0x42 => Asked::Unbind,
        other => Asked::Other(other),
    };
    Some((start + length, id, asked, all.get(2).is_some_and(|(tag, _)| *tag == 0xa0)))
}

/// A filter as text; values with every byte that is not a letter or digit as its number.
fn filter((tag, content): (u8, &[u8])) -> String {
    let list = |sign: &str| {
        let inner: String = parts(content).into_iter().map(filter).collect();
        format!("({sign}{inner})")
    };
    match tag {
        0xa0 => list("&"),
        0xa1 => list("|"),
        0xa2 => list("!"),
        0xa3 => {
            let pair = parts(content);
            format!("({}={})", text(pair[0].1), escaped(pair[1].1))
        }
        0x87 => format!("({}=*)", text(content)),
        0xa9 => {
            let all = parts(content);
            let of = |tag: u8| all.iter().find(|(found, _)| *found == tag).map(|(_, value)| *value).unwrap_or_default();
            format!("({}:{}:={})", text(of(0x82)), text(of(0x81)), escaped(of(0x83)))
        }
        other => format!("(?{other:02x})"),
    }
}

/// As `filter` writes a value.
pub fn escaped(value: &[u8]) -> String {
    value
        .iter()
        .map(|byte| match byte {
            plain if plain.is_ascii_alphanumeric() => char::from(*plain).to_string(),
            other => format!("\\{other:02x}"),
        })
        .collect()
}

/// The base of the people of a well-behaved directory.
pub const BASE: &str = "ou=people,dc=example,dc=test";
pub const SERVICE: (&str, &str) = ("cn=svc,dc=example,dc=test", "svc-secret");
pub const ADA: &str = "uid=ada,ou=people,dc=example,dc=test";
pub const PASSWORD: &str = "ada-secret-7c1f";

/// How authd is to speak with it, in the settings of a connection.
pub fn settings_for(directory: &Directory) -> serde_json::Value {
    serde_json::json!({
        "servers": {"urls": [directory.url()]},
        "bind": {"dn": SERVICE.0, "password": SERVICE.1},
        "users": {"base": BASE},
        "groups": {"mode": "none"},
    })
}

/// Ada's entry, as an answer.
pub fn ada(id: u32) -> Vec<u8> {
    entry(
        id,
        ADA,
        &[
            ("uid", b"ada"),
            ("cn", "Ada Lovelace".as_bytes()),
            ("mail", b"ada@example.test"),
            ("entryUUID", b"6ba7b810-9dad-11d1-80b4-00c04fd430c8"),
        ],
    )
}

/// What a well-behaved directory with Ada in it does.
pub fn behave(question: &Question) -> Act {
    let id = question.id;
    Act::Say(match &question.asked {
        Asked::Bind { name, password } => {
            let right = [(SERVICE.0, SERVICE.1), (ADA, PASSWORD)].contains(&(name, password));
            // As Active Directory does: no password is nobody, and that is fine.
            let anonymous = password.is_empty();
            result(id, BIND, if right || anonymous { 0 } else { 49 }, "", "")
        }
        Asked::Search { filter, base } => {
            let filter = filter.to_lowercase();
            let by_name = base.eq_ignore_ascii_case(ADA) && filter == "(objectclass=*)";
            let found = by_name || filter.contains("=ada)") || filter.contains("=ada\\40example\\2etest)");
            [if found { ada(id) } else { Vec::new() }, result(id, DONE, 0, "", "")].concat()
        }
        Asked::Extended { .. } => result(id, EXTENDED, 2, "", "unsupported"),
        Asked::Unbind => return Act::Close,
        Asked::Other(_) => return Act::Nothing,
    })
}
