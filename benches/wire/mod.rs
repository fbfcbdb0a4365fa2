//! What speaks to a server from outside: a child process, and keep-alive HTTP/1.1 connections to it.

#![allow(dead_code, reason = "each bench uses its part")]

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A server in a process of its own, stopped when dropped.
pub struct Process {
    child: Child,
    /// Where it listens.
    pub at: SocketAddr,
}

impl Process {
    /// Starts it; its first line says where it listens, as `"listen":"…"` or as the line itself.
    pub fn start(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let told = match serde_json::from_str::<serde_json::Value>(&line) {
            Ok(ready) => ready["listen"].as_str().unwrap_or_default().to_owned(),
            Err(_) => line.trim().to_owned(),
        };
        let at = told.parse().unwrap_or_else(|_| panic!("the server did not say where it listens, but: {line:?}"));
        Self { child, at }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        terminate(&mut self.child);
    }
}

/// Asks a child to end in order, and waits for it.
pub fn terminate(child: &mut Child) {
    if let Some(id) = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw) {
        let _ = rustix::process::kill_process(id, rustix::process::Signal::TERM);
    }
    let _ = child.wait();
}

/// One kept connection.
pub struct Wire {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Wire {
    /// Connects.
    pub async fn connect(at: SocketAddr) -> std::io::Result<Self> {
        let stream = TcpStream::connect(at).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(16 * 1024) })
    }

    /// Sends a request and reads its whole answer. Gives the status; the body is what `body` shows until the next one.
    pub async fn ask(&mut self, request: &[u8]) -> std::io::Result<u16> {
        self.buffer.clear();
        self.stream.write_all(request).await?;
        loop {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            if let Some(head) = head_length(&self.buffer)
                && self.buffer.len() >= head + body_length(&self.buffer[..head])
            {
                return Ok(status(&self.buffer));
            }
        }
    }

    /// The body of the last answer.
    pub fn body(&self) -> &[u8] {
        &self.buffer[head_length(&self.buffer).unwrap_or(0)..]
    }
}

fn head_length(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4)
}

fn status(bytes: &[u8]) -> u16 {
    bytes.get(9..12).and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok()).unwrap_or(0)
}

fn body_length(head: &[u8]) -> usize {
    head.split(|byte| *byte == b'\n')
        .find(|line| line.len() > 15 && line[..15].eq_ignore_ascii_case(b"content-length:"))
        .and_then(|line| std::str::from_utf8(&line[15..]).ok()?.trim().parse().ok())
        .unwrap_or(0)
}

/// A GET of a path.
pub fn get(at: SocketAddr, path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: {at}\r\naccept: */*\r\n\r\n").into_bytes()
}
