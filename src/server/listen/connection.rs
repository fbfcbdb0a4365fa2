//! One connection: HTTP/1.1 or HTTP/2 over a watched stream.

use std::convert::Infallible;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context as Task, Poll, ready};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, Request, Response, StatusCode, Version, header};
use http_body_util::BodyExt as _;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulConnection;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::oneshot;
use tokio::time::Sleep;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::activity::{Activity, RESETS, Running};
use super::{Limits, Shutdown};
use crate::http::Peer;

/// HTTP/2 only: streams that a client opened and reset before we came to them.
const PENDING_RESETS: usize = RESETS as usize;

/// So much of a body that nobody wanted is still read, and for so long, so that the connection stays in order.
const UNWANTED_BYTES: u64 = 64 * 1024;
const UNWANTED_TIME: Duration = Duration::from_secs(1);

/// What all connections of a listener share.
pub(super) struct Context {
    pub router: Router,
    pub limits: Limits,
    pub shutdown: Shutdown,
    /// Ends what is left after the grace period.
    pub cut: CancellationToken,
}

/// Serves one connection to its end.
pub(super) async fn drive<I>(io: I, peer: Peer, http2: bool, context: &Arc<Context>)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let limits = &context.limits;
    let activity = Activity::new();
    let io = TokioIo::new(Watched { io, activity: activity.clone() });
    let (shared, answered) = (context.clone(), activity.clone());
    let service = service_fn(move |request| answer(request, peer, shared.clone(), answered.clone()));
    if http2 {
        let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_concurrent_streams(limits.streams)
            .max_pending_accept_reset_streams(PENDING_RESETS)
            .max_local_error_reset_streams(PENDING_RESETS)
            .max_header_list_size(u32::try_from(limits.head_bytes).unwrap_or(u32::MAX))
            .keep_alive_interval(Duration::from_secs(20))
            .keep_alive_timeout(limits.head_time)
            .serve_connection(io, service);
        watch(connection, &activity, context).await;
    } else {
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            // Only a backstop: `Activity` is stricter, and tells a slow head from an idle connection.
            .header_read_timeout(limits.idle.max(limits.head_time))
            .max_header_size(limits.head_bytes)
            .serve_connection(io, service);
        watch(connection, &activity, context).await;
    }
}

/// Runs a connection until it ends, its time is over, or the server's is. Dropping it closes it.
async fn watch<C: GracefulConnection>(connection: C, activity: &Activity, context: &Context) {
    let mut connection = pin!(connection);
    let mut stopping = false;
    loop {
        let left = activity.left(&context.limits, stopping);
        if left.is_zero() {
            return;
        }
        // A phase that begins while we sleep has at least this long, so that its end is never slept over.
        let nap = left.min(context.limits.head_time).min(context.limits.idle).min(context.limits.stall);
        tokio::select! {
            _ = connection.as_mut() => return,
            () = context.cut.cancelled() => return,
            () = context.shutdown.forced() => return,
            () = activity.abused() => {
                tracing::info!("a connection was closed that gave up too many requests");
                return;
            }
            () = context.shutdown.begun(), if !stopping => {
                stopping = true;
                connection.as_mut().graceful_shutdown();
            }
            () = tokio::time::sleep(nap) => {}
        }
    }
}

async fn answer(
    request: Request<Incoming>,
    peer: Peer,
    context: Arc<Context>,
    activity: Arc<Activity>,
) -> Result<Response<Tracked>, Infallible> {
    let running = activity.start();
    // HTTP/2 has no such limit of its own. HTTP/1 has one of 100, which costs nothing; any other costs an allocation per request.
    if request.headers().len() > context.limits.headers {
        let mut refused = Response::new(Body::empty());
        *refused.status_mut() = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        return Ok(refused.map(|body| Tracked::new(body, running)));
    }
    let time = context.limits.body_time;
    // HTTP/2 gives up one stream; on HTTP/1 what is left of a body stands before the next request.
    let in_turn = request.version() < Version::HTTP_2;
    let invited = !request.headers().contains_key(header::EXPECT);
    let (back, mut unread) = oneshot::channel();
    let mut request = request.map(|body| match body.is_end_stream() {
        true => Body::empty(),
        false => Body::new(Timed { body: Some(body), time, end: None, back: Some(back) }),
    });
    request.extensions_mut().insert(peer);
    let mut response = context.router.clone().oneshot(request).await?;
    if in_turn && let Ok(rest) = unread.try_recv() {
        // To read it would ask a client that waits for `100 Continue` to send it.
        let read = invited && tokio::time::timeout(UNWANTED_TIME, discard(rest)).await.unwrap_or(false);
        if !read {
            // Closed with bytes unread, the answer itself may be lost; without a word, the next request is (RFC 9112, 9.6).
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
    }
    Ok(response.map(|body| Tracked::new(body, running)))
}

/// Reads to the end of a body that is not too long. Whether that was reached.
async fn discard(mut rest: Incoming) -> bool {
    let mut left = UNWANTED_BYTES;
    if rest.size_hint().lower() > left {
        return false;
    }
    while let Some(frame) = rest.frame().await {
        let Ok(frame) = frame else { return false };
        let length = frame.data_ref().map_or(0, |data| u64::try_from(data.len()).unwrap_or(u64::MAX));
        let Some(fewer) = left.checked_sub(length) else { return false };
        left = fewer;
    }
    true
}

/// A stream that tells what passes.
struct Watched<I> {
    io: I,
    activity: Arc<Activity>,
}

impl<I: AsyncRead + Unpin> AsyncRead for Watched<I> {
    fn poll_read(mut self: Pin<&mut Self>, task: &mut Task<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(task, into))?;
        if into.filled().len() > before {
            self.activity.read();
        }
        Poll::Ready(Ok(()))
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Watched<I> {
    fn poll_write(mut self: Pin<&mut Self>, task: &mut Task<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.io).poll_write(task, bytes);
        self.activity.wrote(wrote.is_ready());
        wrote
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        task: &mut Task<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.io).poll_write_vectored(task, bytes);
        self.activity.wrote(wrote.is_ready());
        wrote
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.io).poll_flush(task);
        self.activity.wrote(flushed.is_ready());
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(task)
    }
}

/// A request's body that must arrive within a time, counted from when it is first waited for. What nobody reads to its end
/// goes back.
struct Timed {
    body: Option<Incoming>,
    time: Duration,
    end: Option<Pin<Box<Sleep>>>,
    back: Option<oneshot::Sender<Incoming>>,
}

impl Drop for Timed {
    fn drop(&mut self) {
        if let (Some(body), Some(back)) = (self.body.take_if(|body| !body.is_end_stream()), self.back.take()) {
            // Whoever gave up waiting for the answer wants none of it.
            let _ = back.send(body);
        }
    }
}

impl HttpBody for Timed {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(mut self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = &mut *self;
        let Some(body) = &mut this.body else { return Poll::Ready(None) };
        if let Poll::Ready(frame) = Pin::new(body).poll_frame(task) {
            if frame.as_ref().is_none_or(Result::is_err) {
                this.body = None;
            }
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let end = this.end.get_or_insert_with(|| Box::pin(tokio::time::sleep(this.time)));
        ready!(end.as_mut().poll(task));
        // Nobody waits for it any longer.
        this.body = None;
        Poll::Ready(Some(Err("the body took too long".into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

/// An answer's body; the request runs until it is gone.
struct Tracked {
    body: Body,
    running: Running,
}

impl Tracked {
    fn new(body: Body, mut running: Running) -> Self {
        if body.is_end_stream() {
            running.done();
        }
        Self { body, running }
    }
}

impl HttpBody for Tracked {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(task));
        // A body that knows its length may not be asked again after its last frame.
        if frame.as_ref().is_none_or(Result::is_err) || self.body.is_end_stream() {
            self.running.done();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
