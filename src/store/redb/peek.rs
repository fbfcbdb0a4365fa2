//! Opening a file without changing a byte of it: redb writes when it opens, and what another version wrote must not
//! be touched before it is known that it may be.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io::{Error, ErrorKind, Result};
use std::ops::Bound;
use std::sync::{Mutex, PoisonError};

use redb::backends::FileBackend;
use redb::{BackendError, StorageBackend};

const BLOCK: u64 = 4096;

/// The file for reading; what is written stays in memory.
#[derive(Debug)]
pub struct Peek {
    file: FileBackend,
    written: Mutex<Written>,
}

#[derive(Debug)]
struct Written {
    len: u64,
    blocks: BTreeMap<u64, Vec<u8>>,
}

impl Peek {
    /// Over that file.
    pub fn new(file: FileBackend) -> Result<Self> {
        let len = StorageBackend::len(&file)?;
        Ok(Self { file, written: Mutex::new(Written { len, blocks: BTreeMap::new() }) })
    }

    fn written(&self) -> std::sync::MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A block as the file has it; behind its end there are zeros.
    fn original(&self, number: u64) -> Result<Vec<u8>> {
        let mut block = vec![0; usize::try_from(BLOCK).unwrap_or(usize::MAX)];
        let start = number * BLOCK;
        let there = StorageBackend::len(&self.file)?.saturating_sub(start).min(BLOCK);
        let there = usize::try_from(there).unwrap_or(0);
        self.file.read(start, &mut block[..there])?;
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
        Ok(self.written().len)
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        let written = self.written();
        if offset.checked_add(out.len() as u64).is_none_or(|end| end > written.len) {
            return Err(Error::from(ErrorKind::UnexpectedEof));
        }
        for (number, within, range) in pieces(offset, out.len()) {
            let len = range.len();
            match written.blocks.get(&number) {
                Some(block) => out[range].copy_from_slice(&block[within..within + len]),
                None => out[range].copy_from_slice(&self.original(number)?[within..within + len]),
            }
        }
        Ok(())
    }
    fn set_len(&self, len: u64) -> Result<()> {
        self.written().len = len;
        Ok(())
    }
    fn sync_data(&self) -> Result<()> {
        Ok(())
    }
    fn write(&self, offset: u64, data: &[u8]) -> Result<()> {
        let mut written = self.written();
        for (number, within, range) in pieces(offset, data.len()) {
            let block = match written.blocks.entry(number) {
                Entry::Occupied(entry) => entry.into_mut(),
                Entry::Vacant(entry) => entry.insert(self.original(number)?),
            };
            block[within..within + range.len()].copy_from_slice(&data[range]);
        }
        Ok(())
    }
    fn close(&self) -> Result<()> {
        StorageBackend::close(&self.file)
    }
    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> std::result::Result<bool, BackendError> {
        self.file.try_lock_range(start, end)
    }
    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> std::result::Result<(), BackendError> {
        self.file.unlock_range(start, end)
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
        let file = std::fs::File::open(&path).unwrap();
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
        assert_eq!(std::fs::read(&path).unwrap(), before);
    }
}
