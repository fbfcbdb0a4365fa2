//! Somebody with the file in hand: whatever they change in the log, the walk finds it and names the row.

use authd::store::{Batch, Checkpoint, LogReport, LogRow, Store};
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction};

use super::{Bed, OnDisk, World, happened, options};

const LOG: TableDefinition<u64, &[u8]> = TableDefinition::new("log");
const DETAIL: TableDefinition<u64, &[u8]> = TableDefinition::new("detail");
const CHECKPOINTS: TableDefinition<u64, &[u8]> = TableDefinition::new("checkpoints");

/// A log of 30 rows, signed at row 20; then the file in the hands of `tamper`; then the walk.
async fn after(tamper: impl FnOnce(&WriteTransaction)) -> LogReport {
    after_erasing(&[], tamper).await
}

/// The same, where row 25 erases the details of `rows`.
async fn after_erasing(rows: &[u64], tamper: impl FnOnce(&WriteTransaction)) -> LogReport {
    let world = World::new();
    let bed = OnDisk::new(&world);
    for n in 1..=30 {
        if n == 21 {
            bed.store().checkpoint().await.unwrap().unwrap();
        }
        let erases = if n == 25 { rows.to_vec() } else { Vec::new() };
        let entry = happened(&format!("event.{n}"));
        bed.store().commit(Batch::new().log_erasing(entry, erases).clone()).await.unwrap();
    }
    bed.store().close().await;
    {
        let database = Database::open(bed.path()).unwrap();
        #[expect(clippy::disallowed_methods, reason = "this is the attacker")]
        let transaction = database.begin_write().unwrap();
        tamper(&transaction);
        transaction.commit().unwrap();
    }
    let store = Store::open(&bed.path(), world.env, options()).unwrap();
    store.verify_log().await.unwrap()
}

fn row(transaction: &WriteTransaction, seq: u64) -> LogRow {
    minicbor::decode(transaction.open_table(LOG).unwrap().get(seq).unwrap().unwrap().value()).unwrap()
}

fn put(transaction: &WriteTransaction, seq: u64, row: &LogRow) {
    let bytes = minicbor::to_vec(row).unwrap();
    transaction.open_table(LOG).unwrap().insert(seq, bytes.as_slice()).unwrap();
}

#[track_caller]
fn broken(report: LogReport, seq: u64, words: &str) {
    let (at, why) = report.broken.expect("the walk found nothing");
    assert!(at == seq && why.contains(words), "expected {words:?} at {seq}, found {why:?} at {at}");
}

#[tokio::test]
async fn an_untouched_log_holds() {
    let report = after(|_| {}).await;
    assert_eq!((report.rows, report.checkpoints, report.erased, report.broken), (30, 1, 0, None));
}

#[tokio::test]
async fn an_edited_row_is_found() {
    type Edit = fn(&mut LogRow);
    let edits: [Edit; 6] = [
        |row| row.envelope = b"nothing happened".to_vec(),
        |row| row.kind = "event.other".to_owned(),
        |row| row.org = Some([1; 16]),
        |row| row.at = World::time(1),
        |row| row.detail_digest = [0; 32],
        |row| row.hash[0] ^= 1,
    ];
    for edit in edits {
        let report = after(|t| {
            let mut changed = row(t, 7);
            edit(&mut changed);
            put(t, 7, &changed);
        });
        broken(report.await, 7, "was changed");
    }
    let report = after(|t| {
        let mut changed = row(t, 7);
        changed.seq = 8;
        put(t, 7, &changed);
    });
    broken(report.await, 7, "another number");
    let report = after(|t| drop(t.open_table(LOG).unwrap().insert(7, &b"rubbish"[..]).unwrap()));
    broken(report.await, 7, "cannot be read");
}

#[tokio::test]
async fn a_removed_row_is_found() {
    for seq in [1, 7, 20, 30] {
        let report = after(|t| drop(t.open_table(LOG).unwrap().remove(seq).unwrap()));
        broken(report.await, seq, "missing");
    }
    let all = after(|t| t.open_table(LOG).unwrap().retain(|_, _| false).unwrap());
    broken(all.await, 1, "missing");
}

#[tokio::test]
async fn swapped_rows_are_found() {
    let report = after(|t| {
        let (seven, eight) = (row(t, 7), row(t, 8));
        put(t, 7, &eight);
        put(t, 8, &seven);
    });
    broken(report.await, 7, "another number");
    let report = after(|t| {
        let (mut seven, mut eight) = (row(t, 7), row(t, 8));
        (seven.seq, eight.seq) = (8, 7);
        put(t, 7, &eight);
        put(t, 8, &seven);
    });
    broken(report.await, 7, "was changed");
}

#[tokio::test]
async fn a_changed_detail_is_found() {
    let report = after(|t| {
        let mut details = t.open_table(DETAIL).unwrap();
        let mut bytes = details.get(9).unwrap().unwrap().value().to_vec();
        *bytes.last_mut().unwrap() ^= 1;
        details.insert(9, bytes.as_slice()).unwrap();
    });
    broken(report.await, 9, "detail was changed");
    let report = after(|t| drop(t.open_table(DETAIL).unwrap().insert(9, &b"short"[..]).unwrap()));
    broken(report.await, 9, "detail was changed");
}

fn remove_detail(transaction: &WriteTransaction, seq: u64) {
    transaction.open_table(DETAIL).unwrap().remove(seq).unwrap();
}

/// Says in the place of a detail that it was erased with row `by`.
fn claim_erased(transaction: &WriteTransaction, seq: u64, by: u64) {
    transaction.open_table(DETAIL).unwrap().insert(seq, &by.to_be_bytes()[..]).unwrap();
}

#[tokio::test]
async fn adm_09_a_detail_is_gone_only_where_a_later_row_tells_of_it() {
    const GONE: &str = "the detail was removed";
    let report = after_erasing(&[3, 9, 20, 9], |_| {}).await;
    assert_eq!((report.rows, report.erased, report.broken), (30, 3, None));
    // Taken away by hand: all of them, the first, the last, those of rows that others were erased beside.
    for seq in 1..=30 {
        broken(after_erasing(&[3, 9, 20], |t| remove_detail(t, seq)).await, seq, GONE);
    }
    // With words that somebody made up: of a row that erases nothing, of one that erases others, of itself, of one before
    // it, and of rows that are not there.
    for by in [24, 25, 26, 8, 7, 1, 0, 31, 1_000, u64::MAX] {
        broken(after_erasing(&[3, 9, 20], |t| claim_erased(t, 8, by)).await, 8, GONE);
    }
    // The row that tells of it is a link of the chain: made up, edited or taken away, it is found.
    let told_too = after_erasing(&[3, 9], |t| {
        let told = LogRow { erases: Some(vec![3, 8, 9]), ..row(t, 25) };
        put(t, 25, &told);
        claim_erased(t, 8, 25);
    });
    broken(told_too.await, 25, "was changed");
    let untold = after_erasing(&[3, 9], |t| put(t, 25, &LogRow { erases: None, ..row(t, 25) }));
    broken(untold.await, 3, GONE);
    let taken = after_erasing(&[3, 9], |t| drop(t.open_table(LOG).unwrap().remove(25).unwrap()));
    broken(taken.await, 3, GONE);
    let behind = after_erasing(&[], |t| {
        put(t, 31, &LogRow { seq: 31, erases: Some(vec![8]), ..row(t, 30) });
        claim_erased(t, 8, 31);
    });
    broken(behind.await, 8, GONE);
}

#[tokio::test]
async fn a_detail_that_somebody_took_away_is_not_covered_by_erasing_it_afterwards() {
    let world = World::new();
    let bed = OnDisk::new(&world);
    for n in 0..5 {
        bed.store().commit(Batch::new().log(happened(&format!("event.{n}"))).clone()).await.unwrap();
    }
    bed.store().close().await;
    {
        let database = Database::open(bed.path()).unwrap();
        #[expect(clippy::disallowed_methods, reason = "this is the attacker")]
        let transaction = database.begin_write().unwrap();
        remove_detail(&transaction, 2);
        transaction.commit().unwrap();
    }
    let store = Store::open(&bed.path(), world.env, options()).unwrap();
    store.commit(Batch::new().log_erasing(happened("erased"), vec![1, 2, 3]).clone()).await.unwrap();
    broken(store.verify_log().await.unwrap(), 2, "the detail was removed");
}

fn checkpoint(transaction: &WriteTransaction) -> Checkpoint {
    minicbor::decode(transaction.open_table(CHECKPOINTS).unwrap().get(20).unwrap().unwrap().value()).unwrap()
}

fn put_checkpoint(transaction: &WriteTransaction, checkpoint: &Checkpoint) {
    let bytes = minicbor::to_vec(checkpoint).unwrap();
    transaction.open_table(CHECKPOINTS).unwrap().insert(checkpoint.seq, bytes.as_slice()).unwrap();
}

/// Computes the whole chain anew, as somebody could who knows how it is made.
fn rechain(transaction: &WriteTransaction, rows: &[LogRow]) {
    let mut previous = [0; 32];
    for row in rows {
        let mut unlinked = minicbor::to_vec(row).unwrap();
        // An array of seven becomes one of six; the hash, 34 bytes of CBOR, stands last. None of these erases anything.
        unlinked[0] = 0x86;
        unlinked.truncate(unlinked.len() - 34);
        let text = [b"authd log 1".as_slice(), &previous, &unlinked].concat();
        previous.copy_from_slice(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &text).as_ref());
        put(transaction, row.seq, &LogRow { hash: previous, ..row.clone() });
    }
}

#[tokio::test]
async fn a_chain_computed_anew_breaks_at_the_checkpoint() {
    // Done faithfully, it is the same chain: so the test knows how.
    let report = after(|t| rechain(t, &(1..=30).map(|seq| row(t, seq)).collect::<Vec<_>>()));
    assert_eq!(report.await.broken, None);
    let report = after(|t| {
        let mut rows = (1..=30).map(|seq| row(t, seq)).collect::<Vec<_>>();
        rows[6].envelope = b"nothing happened".to_vec();
        rechain(t, &rows);
    });
    broken(report.await, 20, "the checkpoint signs another row");
}

#[tokio::test]
async fn a_checkpoint_of_another_key_is_found() {
    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
    let report = after(|t| {
        let key = Ed25519KeyPair::from_seed_unchecked(&[1; 32]).unwrap();
        let mut forged = checkpoint(t);
        let at = forged.at.millis().to_be_bytes();
        let statement = [&b"authd checkpoint 1"[..], &20u64.to_be_bytes(), &forged.hash, &at].concat();
        forged.signature = key.sign(&statement).as_ref().to_vec();
        forged.public_key.copy_from_slice(key.public_key().as_ref());
        put_checkpoint(t, &forged);
    });
    broken(report.await, 20, "not signed by this authd");
    let report = after(|t| {
        let mut forged = checkpoint(t);
        forged.at = World::time(1);
        put_checkpoint(t, &forged);
    });
    broken(report.await, 20, "not signed by this authd");
}

#[tokio::test]
async fn a_cut_behind_the_last_row_is_found() {
    // The store knows where its log ends; a checkpoint knows it even if that is changed too.
    let report = after(|t| t.open_table(LOG).unwrap().retain(|seq, _| seq <= 25).unwrap());
    broken(report.await, 26, "missing");
    let report = after(|t| {
        const META: TableDefinition<&str, &[u8]> = TableDefinition::new("meta");
        t.open_table(LOG).unwrap().retain(|seq, _| seq <= 15).unwrap();
        let last = row(t, 15);
        let mut head = minicbor::Encoder::new(Vec::new());
        head.array(4).unwrap().u64(30).unwrap().u64(15).unwrap().bytes(&last.hash).unwrap();
        head.i64(last.at.millis()).unwrap();
        t.open_table(META).unwrap().insert("head", head.into_writer().as_slice()).unwrap();
    });
    broken(report.await, 16, "missing");
}

#[tokio::test]
async fn a_signature_can_be_checked_by_anybody() {
    let world = World::new();
    let bed = OnDisk::new(&world);
    bed.store().commit(Batch::new().log(happened("one")).clone()).await.unwrap();
    let made = bed.store().checkpoint().await.unwrap().unwrap();
    let at = made.at.millis().to_be_bytes();
    let statement = [&b"authd checkpoint 1"[..], &made.seq.to_be_bytes(), &made.hash, &at].concat();
    aws_lc_rs::signature::UnparsedPublicKey::new(&aws_lc_rs::signature::ED25519, made.public_key)
        .verify(&statement, &made.signature)
        .unwrap();
    bed.store().close().await;
    let database = Database::open(bed.path()).unwrap();
    let kept = database.begin_read().unwrap().open_table(CHECKPOINTS).unwrap();
    assert_eq!(minicbor::decode::<Checkpoint>(kept.get(1).unwrap().unwrap().value()).unwrap(), made);
}
