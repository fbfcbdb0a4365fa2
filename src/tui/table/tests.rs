use super::super::theme::Tone;
use super::*;

const COLUMNS: &[Column] = &[
    column("Name", Kind::Text, 6, 2, 0),
    column("Count", Kind::Number, 5, 0, 0),
    column("More", Kind::Quiet, 4, 1, 40),
];

fn sample() -> Table {
    let mut table = Table::new(COLUMNS);
    for (id, name, count) in [("a", "Ada", "12"), ("b", "Grace", "3"), ("c", "alan", "100"), ("d", "Edsger", "7")] {
        table.put(Row::new(id, &[name, count, "x"], Tone::Plain));
    }
    table.settle(10);
    table
}

fn ids(table: &Table) -> String {
    table.screen(100).map(|(_, row)| row.id()).collect()
}

#[test]
fn a_page_at_once_is_the_same_as_row_by_row() {
    let page = |from: usize, count: usize, name: &str| -> Vec<Row> {
        let id = |at: usize| format!("{:05}", (from + at * 37) % 1_000);
        (0..count).map(|at| Row::new(&id(at), &[name, "1", "x"], Tone::Plain)).collect()
    };
    // Few and many, new and known, older and newer, the same twice in one page.
    for pages in [[(500, 10), (480, 300), (0, 999)], [(0, 2_500), (3, 256), (700, 257)]] {
        let (mut at_once, mut one_by_one) = (sample(), sample());
        for (turn, (from, count)) in pages.into_iter().enumerate() {
            let name = format!("n{turn}");
            at_once.begin();
            at_once.put_all(page(from, count, &name));
            one_by_one.begin();
            page(from, count, &name).into_iter().for_each(|row| one_by_one.put(row));
            for table in [&mut at_once, &mut one_by_one] {
                table.settle(10);
            }
            assert!(at_once.rows().eq(one_by_one.rows()));
            assert_eq!(at_once.order, one_by_one.order);
        }
        at_once.end();
        one_by_one.end();
        assert!(at_once.rows().eq(one_by_one.rows()));
    }
}

#[test]
fn the_newest_come_first_until_it_is_sorted() {
    let mut table = sample();
    assert_eq!(ids(&table), "dcba");
    for (column, expected) in [(0, "acdb"), (0, "bdca"), (0, "dcba"), (1, "bdac"), (1, "cadb")] {
        table.sort_by(column);
        table.settle(10);
        assert_eq!(ids(&table), expected);
    }
}

#[test]
fn a_filter_takes_words_their_absence_and_columns() {
    let mut table = sample();
    for (filter, expected) in
        [("A", "cba"), ("ad", "a"), ("!ada x", "dcb"), ("name:al", "c"), ("count:1", "ca"), ("none", "")]
    {
        table.set_filter(filter);
        table.settle(10);
        assert_eq!(ids(&table), expected, "{filter}");
    }
}

#[test]
fn the_reader_stays_at_their_row_when_others_come_and_go() {
    let mut table = sample();
    table.go(2);
    assert_eq!(table.current().unwrap().id(), "b");
    table.put(Row::new("e", &["New", "1", ""], Tone::Plain));
    table.settle(3);
    assert_eq!(table.current().unwrap().id(), "b");
    table.remove("d");
    table.settle(3);
    assert_eq!(table.current().unwrap().id(), "b");
    table.go_to(0);
    table.put(Row::new("f", &["Newer", "1", ""], Tone::Plain));
    table.settle(3);
    assert_eq!(table.current().unwrap().id(), "f", "at the top the newest is followed");
}

/// One row after the other, the order is that of a list that was sorted and filtered as a whole.
#[test]
fn rows_that_come_change_and_go_stand_where_a_new_list_has_them() {
    let mut seed = 7u64;
    let mut below = |most: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % most
    };
    for round in 0..60 {
        let mut table = Table::new(COLUMNS);
        for _ in 0..below(4) {
            table.sort_by(usize::try_from(below(3)).unwrap());
        }
        table.set_filter(["", "a", "!b", "count:1", "name:a !c"][usize::try_from(below(5)).unwrap()]);
        table.settle(5);
        for step in 0..200 {
            let id = format!("{:02}", below(60));
            match below(5) {
                0 => table.remove(&id),
                1 => table.go(if below(2) == 0 { 1 } else { -1 }),
                _ => {
                    let name = ["Ada", "alan", "Bob", "", "carl"][usize::try_from(below(5)).unwrap()];
                    table.put(Row::new(&id, &[name, &below(30).to_string(), "x"], Tone::Plain));
                }
            }
            let reader = table.chosen.clone().filter(|id| table.place_of(id).is_some());
            table.settle(5);
            let mut whole = Table::new(COLUMNS);
            whole.rows = table.rows.clone();
            (whole.sort, whole.filter, whole.stale) = (table.sort, table.filter.clone(), true);
            whole.settle(5);
            assert_eq!(table.order, whole.order, "round {round}, step {step}: {:?} {:?}", table.sort, table.filter);
            if let Some(id) = reader {
                assert_eq!(table.current().unwrap().id(), &*id, "round {round}, step {step}: the reader stays");
            }
        }
    }
}

#[test]
fn a_pass_takes_away_what_is_no_longer_there() {
    let mut table = sample();
    table.mark();
    table.replace(vec![Row::new("b", &["Grace", "4", ""], Tone::Plain)]);
    table.settle(10);
    assert_eq!((ids(&table), table.current().unwrap().cell(1)), ("b".to_owned(), "4"));
}
