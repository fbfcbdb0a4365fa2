//! The client of a running server's control socket: HTTP/1.1, one connection a request.

use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::PathBuf;
use std::time::Duration;

use axum::body::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::UnixStream;

use crate::config::{self, DataDir};
use crate::error::{Code, Error, Result, codes};

/// An answer is read up to here; a page of 1,000 items is far smaller.
const ANSWER: usize = 16 << 20;
/// An operation may talk to a slow identity provider; the server gives that up much earlier.
const PATIENCE: Duration = Duration::from_secs(60);
/// A backup of everything, on a slow disk.
const LONG: Duration = Duration::from_secs(6 * 3600);

/// A running server's control socket.
#[derive(Clone, Debug)]
pub struct Socket {
    path: PathBuf,
}

impl Socket {
    /// The socket of the server of that directory, if one answers. Errors: `operator_only` when the socket belongs to
    /// another user: whoever answers there is not our server, and we are not its operator.
    pub async fn find(data_dir: &DataDir) -> Result<Option<Self>> {
        let path = data_dir.socket();
        let Ok(facts) = std::fs::symlink_metadata(&path) else { return Ok(None) };
        if !facts.file_type().is_socket() {
            return Ok(None);
        }
        let (owner, own) = (facts.uid(), config::own_uid());
        if owner != own && own != 0 {
            return Err(Error::says(
                &codes::OPERATOR_ONLY,
                format!("The server in {} runs as uid {owner}; you are uid {own}.", data_dir.path().display()),
            ));
        }
        match UnixStream::connect(&path).await {
            Ok(_) => Ok(Some(Self { path })),
            // Left behind by a server that was killed.
            Err(e) if e.kind() == std::io::ErrorKind::ConnectionRefused => Ok(None),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(unreachable(e)),
        }
    }

    /// One request and its answer. Errors: the server's own, by their codes; `shutting_down` when it went away.
    pub async fn ask(&self, method: &str, target: &str, body: Option<Value>) -> Result<Value> {
        self.ask_within(PATIENCE, method, target, body).await
    }

    /// The same, for an answer that takes as long as there is much to do. Errors: as `ask`.
    pub async fn ask_at_length(&self, method: &str, target: &str, body: Option<Value>) -> Result<Value> {
        self.ask_within(LONG, method, target, body).await
    }

    /// How the server is: also where it is not well. Errors: as `ask`.
    pub async fn health(&self) -> Result<Value> {
        let (status, bytes) =
            tokio::time::timeout(PATIENCE, self.exchange("GET", "/readyz", None)).await.map_err(unreachable)??;
        let value: Value = serde_json::from_slice(&bytes).map_err(unreachable)?;
        if matches!(status, 200 | 503) && value["checks"].is_array() { Ok(value) } else { Err(refusal(status, &value)) }
    }

    async fn ask_within(&self, patience: Duration, method: &str, target: &str, body: Option<Value>) -> Result<Value> {
        let (status, bytes) =
            tokio::time::timeout(patience, self.exchange(method, target, body)).await.map_err(unreachable)??;
        let value: Value = if bytes.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&bytes).map_err(|e| Error::bug(format!("the answer is not JSON: {e}")))?
        };
        if (200..300).contains(&status) { Ok(value) } else { Err(refusal(status, &value)) }
    }

    async fn exchange(&self, method: &str, target: &str, body: Option<Value>) -> Result<(u16, Bytes)> {
        let stream = UnixStream::connect(&self.path).await.map_err(unreachable)?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(unreachable)?;
        let connection = tokio::spawn(connection);
        let mut request = hyper::Request::builder()
            .method(method)
            .uri(target)
            .header(hyper::header::HOST, "localhost")
            .header(hyper::header::USER_AGENT, concat!("authd/", env!("CARGO_PKG_VERSION")));
        let body = match body {
            None => Bytes::new(),
            Some(value) => {
                request = request.header(hyper::header::CONTENT_TYPE, "application/json");
                serde_json::to_vec(&value).map_err(Error::bug)?.into()
            }
        };
        let request = request.body(Full::new(body)).map_err(Error::bug)?;
        let response = sender.send_request(request).await.map_err(unreachable)?;
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), ANSWER).collect().await;
        connection.abort();
        Ok((status, body.map_err(|e| unreachable(e.to_string()))?.to_bytes()))
    }
}

/// The server's refusal, as it would have been here. A code of a newer server keeps its kind, by the status.
pub(super) fn refusal(status: u16, problem: &Value) -> Error {
    let text = |name: &str| problem.get(name).and_then(Value::as_str);
    let known = text("code").and_then(|name| codes::ALL.iter().copied().find(|code| code.name == name));
    let code: &'static Code = known.unwrap_or(match status {
        401 => &codes::NOT_SIGNED_IN,
        403 => &codes::MISSING_GRANT,
        404 => &codes::NOT_FOUND,
        409 => &codes::CONFLICT,
        412 => &codes::STALE,
        413 => &codes::TOO_LARGE,
        429 => &codes::RATE_LIMITED,
        503 => &codes::SHUTTING_DOWN,
        400..500 => &codes::INVALID_INPUT,
        _ => &codes::BUG,
    });
    let message = text("detail").or_else(|| text("title")).unwrap_or(code.message).to_owned();
    let error = Error::says(code, message);
    match (text("help"), text("requestId")) {
        (_, Some(request)) if error.is(&codes::BUG) => error.help(format!("Look it up: `authd explain {request}`.")),
        (Some(help), _) => error.help(help.to_owned()),
        (None, _) => error,
    }
}

#[track_caller]
fn unreachable(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::says(&codes::SHUTTING_DOWN, "The running server does not answer on its socket.").because(cause)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_refusal_keeps_its_code_text_and_next_step() {
        let error = refusal(409, &json!({"code": "taken", "detail": "Taken.", "help": "Choose another."}));
        assert_eq!((error.code(), error.message(), error.next_step()), ("taken", "Taken.", Some("Choose another.")));
        assert_eq!(refusal(404, &json!({"code": "from_the_future"})).code(), "not_found");
        let bug = refusal(500, &json!({"code": "internal_error", "requestId": "req_1"}));
        assert!(bug.next_step().unwrap().contains("authd explain req_1"));
    }

    #[tokio::test]
    async fn what_is_no_socket_or_answers_no_more_is_no_server() {
        let dir = tempfile::tempdir().unwrap();
        let data = DataDir::new(dir.path());
        assert!(Socket::find(&data).await.unwrap().is_none());
        std::fs::write(data.socket(), "").unwrap();
        assert!(Socket::find(&data).await.unwrap().is_none());
        std::fs::remove_file(data.socket()).unwrap();
        drop(std::os::unix::net::UnixListener::bind(data.socket()).unwrap());
        assert!(Socket::find(&data).await.unwrap().is_none(), "left behind");
    }
}
