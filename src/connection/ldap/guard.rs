//! Between a directory and the library that parses what it says: whole messages that passed `ber::screen`, and of those
//! only answers to what was asked, as many as are read.
//!
//! ```text
//!  directory ◄── TLS ──► guard (screen, book) ◄── socket pair ──► ldap3
//! ```

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::UnixStream;

use super::ber::{Fault, Message, Op, frame, screen};

/// Entries of one answer.
pub const MAX_ENTRIES: usize = 1_000;
/// Bytes of one answer.
const MAX_ANSWER: usize = 4 * 1024 * 1024;
/// Elements of one answer.
const MAX_ELEMENTS: usize = 100_000;
/// Questions that wait for their answers.
const MAX_ASKED: usize = 10_000;
/// Read at once.
const CHUNK: usize = 16 * 1024;

/// What was asked, and how much of the answer has come.
struct Asked {
    op: Op,
    entries: usize,
    bytes: usize,
    elements: usize,
}

/// Which questions wait for an answer.
#[derive(Default)]
struct Book(HashMap<u32, Asked>);

impl Book {
    fn asks(&mut self, message: Message) -> Result<(), Fault> {
        if matches!(message.op, Op::BindRequest | Op::SearchRequest | Op::ExtendedRequest) {
            if self.0.len() >= MAX_ASKED {
                return Err(Fault::TooMany);
            }
            self.0.insert(message.id, Asked { op: message.op, entries: 0, bytes: 0, elements: 0 });
        }
        Ok(())
    }

    fn answers(&mut self, message: Message, bytes: usize) -> Result<(), Fault> {
        // RFC 4511 §4.4: only a notice of disconnection has this number.
        if message.id == 0 {
            return Err(Fault::Closing);
        }
        let asked = self.0.get_mut(&message.id).ok_or(Fault::Unasked)?;
        match (asked.op, message.op) {
            (Op::SearchRequest, Op::Entry | Op::Reference) => {
                asked.entries += 1;
                asked.bytes += bytes;
                asked.elements += message.elements;
                let flood = asked.entries > MAX_ENTRIES || asked.bytes > MAX_ANSWER || asked.elements > MAX_ELEMENTS;
                if flood { Err(Fault::TooMany) } else { Ok(()) }
            }
            (Op::SearchRequest, Op::Done)
            | (Op::BindRequest, Op::BindResponse)
            | (Op::ExtendedRequest, Op::ExtendedResponse) => {
                self.0.remove(&message.id);
                Ok(())
            }
            _ => Err(Fault::Unasked),
        }
    }
}

/// Why a connection was cut, once it was.
pub type Cut = Arc<OnceLock<Fault>>;

/// Carries messages until one side ends, or until one is seen that may not pass. Then both sides are closed.
pub async fn carry<S: AsyncRead + AsyncWrite>(directory: S, library: UnixStream, cut: Cut) {
    let book = Mutex::<Book>::default();
    let (mut from_directory, mut to_directory) = tokio::io::split(directory);
    let (mut from_library, mut to_library) = library.into_split();
    let ended = {
        let asked = pass(&mut from_library, &mut to_directory, |message, _| {
            book.lock().unwrap_or_else(PoisonError::into_inner).asks(message)
        });
        let answered = pass(&mut from_directory, &mut to_library, |message, bytes| {
            book.lock().unwrap_or_else(PoisonError::into_inner).answers(message, bytes)
        });
        tokio::select! {
            ended = asked => ended,
            ended = answered => ended.and(Err(Fault::Closing)),
        }
    };
    if let Err(fault) = ended {
        // Whoever was first says it best.
        let _ = cut.set(fault);
    }
    let _ = to_directory.shutdown().await;
}

/// Carries messages one way. Ends in order when the source does, or when the other side takes no more.
async fn pass(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    mut note: impl FnMut(Message, usize) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let mut buffer = Vec::new();
    let mut chunk = vec![0; CHUNK];
    loop {
        let read = match from.read(&mut chunk).await {
            Ok(0) | Err(_) => return Ok(()),
            Ok(read) => read,
        };
        buffer.extend_from_slice(chunk.get(..read).unwrap_or_default());
        let (good, ended) = seen(&buffer, &mut note);
        // Together, as they came: each write wakes whoever reads. What was good before a fault is still heard.
        if let Some(good) = buffer.get(..good).filter(|good| !good.is_empty())
            && (to.write_all(good).await.is_err() || to.flush().await.is_err())
        {
            return Ok(());
        }
        ended?;
        buffer.drain(..good);
    }
}

/// How many bytes are whole messages that may pass, and what comes behind them if it may not.
fn seen(buffer: &[u8], note: &mut impl FnMut(Message, usize) -> Result<(), Fault>) -> (usize, Result<(), Fault>) {
    let mut good = 0;
    while let Some(rest) = buffer.get(good..) {
        let next = frame(rest).and_then(|length| {
            let Some((length, message)) = length.and_then(|length| Some((length, rest.get(..length)?))) else {
                return Ok(None);
            };
            note(screen(message)?, length).map(|()| Some(length))
        });
        match next {
            Ok(Some(length)) => good += length,
            Ok(None) => break,
            Err(fault) => return (good, Err(fault)),
        }
    }
    (good, Ok(()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(id: u32, op: Op) -> Message {
        Message { id, op, elements: 10 }
    }

    #[test]
    fn ldap_06_only_what_was_asked_is_answered_and_once() {
        let mut book = Book::default();
        book.asks(message(1, Op::BindRequest)).unwrap();
        assert_eq!(book.answers(message(2, Op::BindResponse), 10), Err(Fault::Unasked), "another number");
        assert_eq!(book.answers(message(1, Op::Done), 10), Err(Fault::Unasked), "another kind");
        assert_eq!(book.answers(message(1, Op::Entry), 10), Err(Fault::Unasked), "another kind");
        assert_eq!(book.answers(message(0, Op::ExtendedResponse), 10), Err(Fault::Closing));
        assert_eq!(book.answers(message(1, Op::BindResponse), 10), Ok(()));
        assert_eq!(book.answers(message(1, Op::BindResponse), 10), Err(Fault::Unasked), "a second time");
    }

    #[test]
    fn ldap_06_an_answer_is_bounded_in_entries_bytes_and_elements() {
        let flood = |each: usize, elements: usize| {
            let mut book = Book::default();
            book.asks(message(1, Op::SearchRequest)).unwrap();
            let entry = Message { elements, ..message(1, Op::Entry) };
            (0..1_000_000).take_while(|_| book.answers(entry, each).is_ok()).count()
        };
        assert_eq!(flood(10, 10), MAX_ENTRIES);
        assert_eq!(flood(MAX_ANSWER / 4, 10), 4);
        assert_eq!(flood(10, MAX_ELEMENTS / 5), 5);
    }
}
