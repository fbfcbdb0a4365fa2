//! All tables out of one snapshot, and into a new file.
//!
//! Entries travel as they lie: table, key, value. The copy out walks a snapshot, so that the writer never waits; the
//! way in commits in bounded pieces, so that the memory is flat.

use std::path::Path;

use redb::{
    Database, Durability, Key, ReadTransaction, ReadableTable as _, TableDefinition, TableHandle as _, Value,
    WriteTransaction,
};

use super::file::{self, create_new};
use super::layout;
use crate::error::Result;
use crate::store::backend::{Fault, Head, Sink};
use crate::store::log::LogRow;

/// Entries of one transaction on the way in, and their bytes.
const PIECE: (usize, usize) = (8192, 4 * 1024 * 1024);

/// Does `$do!(number, table)` for every table. The numbers stand in backups and are never used again. `meta` is the
/// last: what lacks it is not recognized as a store.
macro_rules! for_each_table {
    ($do:ident) => {
        $do!(1, layout::ROWS);
        $do!(2, layout::UNIQUE);
        $do!(3, layout::MANY);
        $do!(4, layout::ORDERED);
        $do!(5, layout::EXPIRY);
        $do!(6, layout::COUNTS);
        $do!(7, layout::LOG);
        $do!(8, layout::DETAIL);
        $do!(9, layout::LOG_ORG);
        $do!(10, layout::CHECKPOINTS);
        $do!(11, layout::META);
    };
}

/// Gives every entry of the snapshot to `sink`, rows first. A row that does not fit its checksum ends it: a copy of
/// damage is no backup.
pub fn pour(from: &ReadTransaction, sink: &mut dyn Sink) -> Result<()> {
    let mut known = 0;
    macro_rules! walk {
        ($number:literal, $table:expr) => {
            walk($number, $table, from, sink)?;
            known += 1;
        };
    }
    for_each_table!(walk);
    // A table that is left out here would be missing from every backup.
    let there = from.list_tables().map_err(Fault::from)?.count();
    if there != known {
        return Err(Fault::corrupt(format!("{there} tables where {known} are known")).into());
    }
    Ok(())
}

fn walk<K: Key + 'static, V: Value + 'static>(
    number: u8,
    table: TableDefinition<'_, K, V>,
    from: &ReadTransaction,
    sink: &mut dyn Sink,
) -> Result<()> {
    let table = from.open_table(table).map_err(Fault::from)?;
    for entry in table.iter().map_err(Fault::from)? {
        let (key, value) = entry.map_err(Fault::from)?;
        let (key, value) = (key.value(), value.value());
        let (key, value) = (K::as_bytes(&key), V::as_bytes(&value));
        if number == 1 {
            layout::decode_row(key.as_ref(), value.as_ref())?;
        }
        sink.entry(number, key.as_ref(), value.as_ref())?;
    }
    Ok(())
}

/// What an entry of a copy is, for those who look into one without making a store of it.
pub enum Seen<'a> {
    /// A row of that kind; its checksum holds.
    Row(&'a str),
    /// A row of the log.
    Log(LogRow),
    /// How far the store had come.
    Head(Head),
    /// Anything else.
    Other,
}

/// Reads one entry. Errors: corrupt, when it is not what its table holds.
pub fn see<'a>(table: u8, key: &'a [u8], value: &[u8]) -> Result<Seen<'a>, Fault> {
    let wrong = |e: minicbor::decode::Error| Fault::corrupt(format!("an entry cannot be read: {e}"));
    match table {
        1 => {
            layout::decode_row(key, value)?;
            layout::kind_of(key).map(Seen::Row).ok_or_else(|| Fault::corrupt("a row without a kind"))
        }
        7 => Ok(Seen::Log(minicbor::decode(value).map_err(wrong)?)),
        11 if key == b"head" => Ok(Seen::Head(minicbor::decode(value).map_err(wrong)?)),
        2..=11 => Ok(Seen::Other),
        other => Err(Fault::corrupt(format!("there is no table {other}"))),
    }
}

/// A new file that takes the entries of a copy.
pub struct Loader {
    database: Database,
    piece: Vec<(u8, Vec<u8>, Vec<u8>)>,
    bytes: usize,
}

impl Loader {
    /// Into a file that is not there yet, mode 0600.
    pub fn create(path: &Path) -> Result<Self, Fault> {
        let database = file::open_new(create_new(path)?, 16 * 1024 * 1024)?;
        Ok(Self { database, piece: Vec::new(), bytes: 0 })
    }

    /// Takes one entry, in the order that `pour` gave them.
    pub fn put(&mut self, table: u8, key: &[u8], value: &[u8]) -> Result<(), Fault> {
        self.bytes += key.len() + value.len();
        self.piece.push((table, key.to_vec(), value.to_vec()));
        if self.piece.len() >= PIECE.0 || self.bytes >= PIECE.1 {
            return self.write(false);
        }
        Ok(())
    }

    /// Writes what is left, durably. What it makes must be a store.
    pub fn finish(mut self) -> Result<(), Fault> {
        self.write(true)?;
        file::schema(&self.database)?;
        self.database.close()?;
        Ok(())
    }

    fn write(&mut self, last: bool) -> Result<(), Fault> {
        let mut transaction = super::write_transaction(&self.database)?;
        // Nobody relies on a part; the last commit is durable, and with it all before it.
        let durability = if last { Durability::Immediate } else { Durability::None };
        transaction.set_durability(durability).map_err(|e| Fault::corrupt(e.to_string()))?;
        for group in self.piece.chunk_by(|a, b| a.0 == b.0) {
            put_all(&transaction, group)?;
        }
        if last {
            // Those without an entry are made, too: no reader ever meets a store without one.
            drop(super::write::Tables::open(&transaction)?);
        }
        transaction.commit()?;
        self.piece.clear();
        self.bytes = 0;
        Ok(())
    }
}

fn put_all(to: &WriteTransaction, group: &[(u8, Vec<u8>, Vec<u8>)]) -> Result<(), Fault> {
    let Some((wanted, ..)) = group.first() else { return Ok(()) };
    macro_rules! put {
        ($number:literal, $table:expr) => {
            if *wanted == $number {
                return put(to, $table, group);
            }
        };
    }
    for_each_table!(put);
    Err(Fault::corrupt(format!("there is no table {wanted}")))
}

fn put<K: Key + 'static, V: Value + 'static>(
    to: &WriteTransaction,
    table: TableDefinition<'_, K, V>,
    group: &[(u8, Vec<u8>, Vec<u8>)],
) -> Result<(), Fault> {
    let fits = |width: Option<usize>, bytes: &[u8]| width.is_none_or(|width| width == bytes.len());
    let name = table.name().to_owned();
    let mut table = to.open_table(table)?;
    for (_, key, value) in group {
        // redb reads a number of a fixed width without asking whether it has it.
        if !fits(K::fixed_width(), key) || !fits(V::fixed_width(), value) {
            return Err(Fault::corrupt(format!("an entry of another size in {name}")));
        }
        table.insert(K::from_bytes(key), V::from_bytes(value))?;
    }
    Ok(())
}
