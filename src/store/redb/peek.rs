//! Opening a file without changing a byte of it: redb writes when it opens, and what another version wrote must not
//! be touched before it is known that it may be.
//!
//! Until then what redb writes stays in memory. `release` carries it out in the order it came, syncs included, so
//! that a crash meanwhile is one that redb knows; from then on everything goes straight to the file.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io::{Error, ErrorKind, Result};
use std::ops::Bound;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redb::backends::FileBackend;
use redb::{BackendError, StorageBackend};

const BLOCK: u64 = 4096;

/// A file that is only read until it is released. Clones are the same one.
#[derive(Clone, Debug)]
pub struct Peek(Arc<Held>);

#[derive(Debug)]
struct Held {
    file: FileBackend,
    released: AtomicBool,
    written: Mutex<Written>,
}

/// What was not written to the file.
#[derive(Debug, Default)]
struct Written {
    len: u64,
    /// So much of the file is still what it says; behind it there would be zeros.
    intact: u64,
    blocks: BTreeMap<u64, Vec<u8>>,
    order: Vec<Step>,
}

#[derive(Debug)]
enum Step {
    Write(u64, Vec<u8>),
    Length(u64),
    Sync,
}

impl Peek {
    /// Over that file.
    pub fn new(file: FileBackend) -> Result<Self> {
        let len = StorageBackend::len(&file)?;
        let written = Written { len, intact: len, ..Written::default() };
        Ok(Self(Arc::new(Held { file, released: AtomicBool::new(false), written: Mutex::new(written) })))
    }

    /// Writes to the file what was kept from it, and keeps nothing from it any more. Nobody uses it meanwhile.
    pub fn release(&self) -> Result<()> {
        let kept = std::mem::take(&mut *self.written());
        for step in kept.order {
            match step {
                Step::Write(offset, data) => StorageBackend::write(&self.0.file, offset, &data)?,
                Step::Length(len) => self.0.file.set_len(len)?,
                Step::Sync => self.0.file.sync_data()?,
            }
        }
        self.0.released.store(true, Ordering::Release);
        Ok(())
    }

    /// The file, once it was released.
    fn file(&self) -> Option<&FileBackend> {
        self.0.released.load(Ordering::Acquire).then_some(&self.0.file)
    }

    fn written(&self) -> MutexGuard<'_, Written> {
        self.0.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A block as the file has it; behind its end there are zeros.
    fn original(&self, number: u64, intact: u64) -> Result<Vec<u8>> {
        let mut block = vec![0; usize::try_from(BLOCK).unwrap_or(usize::MAX)];
        let start = number * BLOCK;
        let there = intact.saturating_sub(start).min(BLOCK);
        let there = usize::try_from(there).unwrap_or(0);
        StorageBackend::read(&self.0.file, start, &mut block[..there])?;
        Ok(block)
    }
}

/// The pieces of a range, each within one block: number of the block, where in it, where in the range.
fn pieces(offset: u64, len: usize) -> impl Iterator<Item = (u64, usize, std::ops::Range<usize>)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        if done >= len {
            return None;
        }
        let at = offset + done as u64;
        let within = usize::try_from(at % BLOCK).unwrap_or(0);
        let here = (len - done).min(usize::try_from(BLOCK).unwrap_or(usize::MAX) - within);
        let range = done..done + here;
        done += here;
        Some((at / BLOCK, within, range))
    })
}

impl StorageBackend for Peek {
    fn len(&self) -> Result<u64> {
        self.file().map_or_else(|| Ok(self.written().len), StorageBackend::len)
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        if let Some(file) = self.file() {
            return StorageBackend::read(file, offset, out);
        }
        let written = self.written();
        if offset.checked_add(out.len() as u64).is_none_or(|end| end > written.len) {
            return Err(Error::from(ErrorKind::UnexpectedEof));
        }
        let blocks = offset / BLOCK..=(offset + out.len() as u64) / BLOCK;
        if offset + out.len() as u64 <= written.intact && written.blocks.range(blocks).next().is_none() {
            return StorageBackend::read(&self.0.file, offset, out);
        }
        for (number, within, range) in pieces(offset, out.len()) {
            let len = range.len();
            match written.blocks.get(&number) {
                Some(block) => out[range].copy_from_slice(&block[within..within + len]),
                None => out[range].copy_from_slice(&self.original(number, written.intact)?[within..within + len]),
            }
        }
        Ok(())
    }
    fn set_len(&self, len: u64) -> Result<()> {
        if let Some(file) = self.file() {
            return file.set_len(len);
        }
        let mut written = self.written();
        if len < written.len {
            written.intact = written.intact.min(len);
            written.blocks.split_off(&len.div_ceil(BLOCK));
            let within = usize::try_from(len % BLOCK).unwrap_or(0);
            if within > 0
                && let Some(last) = written.blocks.get_mut(&(len / BLOCK))
            {
                last[within..].fill(0);
            }
        }
        written.len = len;
        written.order.push(Step::Length(len));
        Ok(())
    }
    fn sync_data(&self) -> Result<()> {
        if let Some(file) = self.file() {
            return file.sync_data();
        }
        self.written().order.push(Step::Sync);
        Ok(())
    }
    fn write(&self, offset: u64, data: &[u8]) -> Result<()> {
        if let Some(file) = self.file() {
            return StorageBackend::write(file, offset, data);
        }
        let mut written = self.written();
        let intact = written.intact;
        for (number, within, range) in pieces(offset, data.len()) {
            let block = match written.blocks.entry(number) {
                Entry::Occupied(entry) => entry.into_mut(),
                Entry::Vacant(entry) => entry.insert(self.original(number, intact)?),
            };
            block[within..within + range.len()].copy_from_slice(&data[range]);
        }
        written.order.push(Step::Write(offset, data.to_vec()));
        Ok(())
    }
    fn close(&self) -> Result<()> {
        StorageBackend::close(&self.0.file)
    }
    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> std::result::Result<bool, BackendError> {
        self.0.file.try_lock_range(start, end)
    }
    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> std::result::Result<(), BackendError> {
        self.0.file.unlock_range(start, end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_the_file_stays() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("file");
        let before: Vec<u8> = (0..10_000u32).map(|n| n as u8).collect();
        std::fs::write(&path, &before).unwrap();
        let file = std::fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
        let peek = Peek::new(FileBackend::new(file).unwrap()).unwrap();
        peek.write(4090, &[0xee; 5000]).unwrap();
        peek.set_len(20_000).unwrap();
        peek.write(15_000, &[0xdd; 10]).unwrap();
        let mut out = vec![0; 20_000];
        peek.read(0, &mut out).unwrap();
        assert_eq!(out[..4090], before[..4090]);
        assert!(out[4090..9090].iter().all(|b| *b == 0xee));
        assert_eq!(out[9090..10_000], before[9090..]);
        assert!(out[10_000..15_000].iter().all(|b| *b == 0) && out[15_000..15_010] == [0xdd; 10]);
        assert!(peek.read(19_999, &mut [0; 2]).is_err());
        peek.set_len(9_500).unwrap();
        peek.set_len(16_000).unwrap();
        peek.sync_data().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), before);
        out.truncate(9_500);
        out.resize(16_000, 0);
        let mut again = vec![1; 16_000];
        peek.read(0, &mut again).unwrap();
        assert!(again == out, "what was cut off does not come back");
        peek.release().unwrap();
        assert!(std::fs::read(&path).unwrap() == out, "and then it is as it was read");
        peek.write(0, b"straight").unwrap();
        assert!(std::fs::read(&path).unwrap().starts_with(b"straight"));
    }
}
