//! The bytes of a backup: the header, entries on their way out and in, the digest over all of it.

use std::io::{self, Read, Write};

use aws_lc_rs::digest::{Context, SHA256};

use crate::crypto::{Secret, Wrapped, hmac_sha256};
use crate::env::Timestamp;
use crate::error::{Error, Result, codes};
use crate::store::chain::encode;

/// What a backup begins with.
pub const MAGIC: &[u8; 12] = b"authd backup";
/// The form that is written, and the only one that is read.
const FORM: u32 = 1;
/// A longer header, key or value is none of ours: a record has at most 1 MiB.
const MOST_HEADER: u32 = 64 * 1024;
const MOST_KEY: u32 = 64 * 1024;
const MOST_VALUE: u32 = 8 * 1024 * 1024;

/// What stands before the entries.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Header {
    /// The version of the authd that wrote it.
    #[n(0)]
    pub authd: String,
    /// The layout of the database.
    #[n(1)]
    pub schema: u32,
    /// When it was begun.
    #[n(2)]
    pub created_at: Timestamp,
    /// The number of the log's last row in it: everything up to here is inside, nothing behind.
    #[n(3)]
    pub log_seq: u64,
    /// The number of the last commit in it.
    #[n(4)]
    pub commit: u64,
    /// The fingerprint of the master key that its secrets are sealed under.
    #[n(5)]
    pub fingerprint: String,
    /// The master key under a passphrase, if it was asked for.
    #[n(6)]
    pub key: Option<Wrapped>,
}

impl Header {
    /// What the wrapped key is bound to: everything else of the header.
    pub fn context(&self) -> Vec<u8> {
        let bare = Self { key: None, ..self.clone() };
        [&MAGIC[..], &FORM.to_be_bytes(), &encode(&bare)].concat()
    }

    /// The master key in it, as text. `None` when there is none. Errors: `passphrase_wrong`.
    pub fn unwrap_key(&self, passphrase: &Secret) -> Result<Option<Secret>> {
        let Some(wrapped) = &self.key else { return Ok(None) };
        let text = wrapped.open(passphrase, &self.context())?;
        let text = std::str::from_utf8(&text).map_err(|_| Error::new(&codes::PASSPHRASE_WRONG))?;
        Ok(Some(Secret::new(text)))
    }
}

/// What closes a backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ending {
    /// Bytes of the whole file.
    pub bytes: u64,
    /// SHA-256 of everything before it.
    pub digest: [u8; 32],
    /// See `seal`.
    pub seal: [u8; 32],
}

/// The seal of a digest under the key for seals.
pub fn seal(key: &[u8; 32], digest: &[u8; 32]) -> [u8; 32] {
    hmac_sha256(key, &[&b"authd backup seal 1"[..], digest].concat())
}

fn sum(context: Context) -> [u8; 32] {
    let mut digest = [0; 32];
    digest.copy_from_slice(context.finish().as_ref());
    digest
}

/// A backup on its way out.
pub struct Out<W> {
    to: W,
    context: Context,
    bytes: u64,
    entries: u64,
}

impl<W: Write> Out<W> {
    pub fn new(to: W) -> Self {
        Self { to, context: Context::new(&SHA256), bytes: 0, entries: 0 }
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.context.update(bytes);
        self.bytes += bytes.len() as u64;
        self.to.write_all(bytes)
    }

    fn put_length(&mut self, bytes: &[u8]) -> io::Result<()> {
        let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
        self.put(&length.to_be_bytes())
    }

    pub fn header(&mut self, header: &Header) -> io::Result<()> {
        let bytes = encode(header);
        self.put(MAGIC)?;
        self.put(&FORM.to_be_bytes())?;
        self.put_length(&bytes)?;
        self.put(&bytes)
    }

    pub fn entry(&mut self, table: u8, key: &[u8], value: &[u8]) -> io::Result<()> {
        self.put(&[table])?;
        self.put_length(key)?;
        self.put_length(value)?;
        self.put(key)?;
        self.put(value)?;
        self.entries += 1;
        Ok(())
    }

    pub fn finish(mut self, seal_key: &[u8; 32]) -> io::Result<(W, Ending)> {
        let (entries, before) = (self.entries, self.bytes);
        self.put(&[0])?;
        self.put(&entries.to_be_bytes())?;
        self.put(&before.to_be_bytes())?;
        let digest = sum(self.context);
        let seal = seal(seal_key, &digest);
        self.to.write_all(&digest)?;
        self.to.write_all(&seal)?;
        self.to.flush()?;
        Ok((self.to, Ending { bytes: self.bytes + 64, digest, seal }))
    }
}

/// A backup on its way in. Nothing of it is proven before `next` has told the ending.
pub struct In<R> {
    from: R,
    context: Context,
    bytes: u64,
    entries: u64,
    key: Vec<u8>,
    value: Vec<u8>,
}

/// What comes next in a backup.
pub enum Next<'a> {
    /// An entry: table, key, value.
    Entry(u8, &'a [u8], &'a [u8]),
    /// It is whole.
    End(Ending),
}

/// It is not a backup, or not any more.
#[track_caller]
pub fn damaged(why: impl Into<String>) -> Error {
    Error::new(&codes::BACKUP_INVALID).because(why.into())
}

impl<R: Read> In<R> {
    pub fn new(from: R) -> Self {
        Self { from, context: Context::new(&SHA256), bytes: 0, entries: 0, key: Vec::new(), value: Vec::new() }
    }

    fn take(&mut self, out: &mut [u8]) -> Result<()> {
        self.from.read_exact(out).map_err(|e| damaged(e.to_string()))?;
        self.context.update(out);
        self.bytes += out.len() as u64;
        Ok(())
    }

    fn number<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        self.take(&mut bytes)?;
        Ok(bytes)
    }

    /// How many bytes were read.
    pub fn read(&self) -> u64 {
        self.bytes
    }

    /// The header. Errors: `backup_invalid`; `storage_newer` for a form that this authd does not know.
    pub fn header(&mut self) -> Result<Header> {
        if self.number()? != *MAGIC {
            return Err(Error::says(&codes::BACKUP_INVALID, "That is no backup of authd.").help(""));
        }
        let form = u32::from_be_bytes(self.number()?);
        if form != FORM {
            return Err(Error::says(&codes::STORAGE_NEWER, "The backup was written by a newer authd.")
                .help("Restore it with that version.")
                .because(format!("form {form}")));
        }
        let length = u32::from_be_bytes(self.number()?);
        if length > MOST_HEADER {
            return Err(damaged("a header that is too long"));
        }
        let mut bytes = vec![0; usize::try_from(length).map_err(Error::bug)?];
        self.take(&mut bytes)?;
        minicbor::decode(&bytes).map_err(|e| damaged(e.to_string()))
    }

    /// The next entry, or the ending. Errors: `backup_invalid`.
    pub fn next(&mut self) -> Result<Next<'_>> {
        let before = self.bytes;
        let [table] = self.number()?;
        if table == 0 {
            return self.ending(before).map(Next::End);
        }
        let (key, value) = (u32::from_be_bytes(self.number()?), u32::from_be_bytes(self.number()?));
        if key > MOST_KEY || value > MOST_VALUE {
            return Err(damaged("an entry that is too long"));
        }
        let (mut k, mut v) = (std::mem::take(&mut self.key), std::mem::take(&mut self.value));
        k.resize(usize::try_from(key).map_err(Error::bug)?, 0);
        v.resize(usize::try_from(value).map_err(Error::bug)?, 0);
        self.take(&mut k)?;
        self.take(&mut v)?;
        (self.key, self.value) = (k, v);
        self.entries += 1;
        Ok(Next::Entry(table, &self.key, &self.value))
    }

    fn ending(&mut self, before: u64) -> Result<Ending> {
        let (entries, bytes) = (u64::from_be_bytes(self.number()?), u64::from_be_bytes(self.number()?));
        if entries != self.entries || bytes != before {
            return Err(damaged("it is shorter or longer than it says"));
        }
        let digest = sum(std::mem::replace(&mut self.context, Context::new(&SHA256)));
        let read = self.bytes;
        let (wrote, seal): ([u8; 32], [u8; 32]) = (self.number()?, self.number()?);
        if wrote != digest {
            return Err(damaged("its digest does not hold"));
        }
        if self.from.read(&mut [0]).map_err(|e| damaged(e.to_string()))? != 0 {
            return Err(damaged("something stands behind its end"));
        }
        Ok(Ending { bytes: read + 64, digest, seal })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Header {
        Header {
            authd: "1".to_owned(),
            schema: 1,
            created_at: Timestamp::from_millis(5),
            log_seq: 7,
            commit: 9,
            fingerprint: "abc".to_owned(),
            key: None,
        }
    }

    fn written() -> Vec<u8> {
        let mut out = Out::new(Vec::new());
        out.header(&header()).unwrap();
        out.entry(1, b"key", b"value").unwrap();
        out.entry(10, b"", &[7; 300]).unwrap();
        out.finish(&[3; 32]).unwrap().0
    }

    type Entry = (u8, Vec<u8>, Vec<u8>);

    fn read(bytes: &[u8]) -> Result<(Header, Vec<Entry>, Ending)> {
        let mut input = In::new(bytes);
        let header = input.header()?;
        let mut entries = Vec::new();
        loop {
            match input.next()? {
                Next::Entry(table, key, value) => entries.push((table, key.to_vec(), value.to_vec())),
                Next::End(ending) => return Ok((header, entries, ending)),
            }
        }
    }

    #[test]
    fn what_goes_out_comes_in() {
        let bytes = written();
        let (found, entries, ending) = read(&bytes).unwrap();
        assert_eq!(found, header());
        assert_eq!(entries, [(1, b"key".to_vec(), b"value".to_vec()), (10, vec![], vec![7; 300])]);
        assert_eq!(ending.bytes, bytes.len() as u64);
        assert_eq!(ending.seal, seal(&[3; 32], &ending.digest));
        assert_ne!(ending.seal, seal(&[4; 32], &ending.digest));
    }

    #[test]
    fn no_byte_can_change_and_none_can_go_or_come() {
        let bytes = written();
        // The seal at the end is held against the key, not against the digest.
        for at in 0..bytes.len() - 32 {
            let mut forged = bytes.clone();
            forged[at] ^= 1 << (at % 8);
            let error = read(&forged).map(|_| ()).unwrap_err();
            assert!(error.is(&codes::BACKUP_INVALID) || error.is(&codes::STORAGE_NEWER), "{at}: {error:?}");
        }
        for length in 0..bytes.len() {
            assert!(read(&bytes[..length]).is_err(), "cut at {length}");
        }
        assert!(read(&[&bytes[..], b"x"].concat()).is_err());
    }

    #[test]
    fn the_context_of_a_wrapped_key_is_the_whole_header() {
        let one = header().context();
        assert_ne!(one, Header { fingerprint: "abd".to_owned(), ..header() }.context());
        assert_ne!(one, Header { log_seq: 8, ..header() }.context());
    }
}
