//! Columns: what stands over them, how wide they are, and how a cell is written.

use super::shown;
use super::table::Row;

/// How a cell is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// As it is.
    Text,
    /// As it is, less important.
    Quiet,
    /// How long ago a moment was.
    Ago,
    /// How long until a moment; with its urgency.
    Until,
    /// Time of day of a moment.
    Clock,
    /// To the right.
    Number,
    /// A word that says how it stands, in the tone of the row.
    State,
}

/// A column: data.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// What stands over it.
    pub title: &'static str,
    /// At least so wide.
    pub least: u16,
    /// Its share of what is left over.
    pub share: u16,
    /// Left out where the table is narrower than this.
    pub from: u16,
    /// How its cells are written.
    pub kind: Kind,
}

/// A column of that kind.
pub const fn column(title: &'static str, kind: Kind, least: u16, share: u16, from: u16) -> Column {
    Column { title, least, share, from, kind }
}

/// Which columns stand where: index, left edge, width. A pure function of the width, for drawing and for the mouse.
pub fn layout(columns: &[Column], width: u16) -> Vec<(usize, u16, u16)> {
    let fitting: Vec<(usize, &Column)> =
        columns.iter().enumerate().filter(|(_, column)| column.from <= width).collect();
    let gaps = u16::try_from(fitting.len().saturating_sub(1)).unwrap_or(0) * 2;
    let least: u16 = fitting.iter().map(|(_, column)| column.least).sum();
    let shares: u32 = fitting.iter().map(|(_, column)| u32::from(column.share)).sum();
    let left = u32::from(width.saturating_sub(least + gaps));
    let (mut x, mut out) = (0, Vec::with_capacity(fitting.len()));
    for (at, column) in fitting {
        let more = (left * u32::from(column.share)).checked_div(shares).and_then(|more| u16::try_from(more).ok());
        let wide = (column.least + more.unwrap_or(0)).min(width.saturating_sub(x));
        out.push((at, x, wide));
        x = x.saturating_add(wide + 2);
    }
    out
}

/// What stands in a cell at this moment.
pub fn written(row: &Row, column: usize, kind: Kind, now: i64) -> String {
    let cell = row.cell(column);
    match (kind, shown::moment(cell)) {
        (Kind::Ago, Some(at)) => shown::span(now - at),
        (Kind::Until, Some(at)) if at <= now => "over".to_owned(),
        (Kind::Until, Some(at)) => shown::span(at - now),
        (Kind::Clock, Some(at)) => shown::clock(at),
        _ => cell.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: &[Column] = &[
        column("Name", Kind::Text, 6, 2, 0),
        column("Count", Kind::Number, 5, 0, 0),
        column("More", Kind::Quiet, 4, 1, 40),
    ];

    #[test]
    fn columns_fill_the_width_and_never_more() {
        for width in 0..200 {
            let places = layout(COLUMNS, width);
            let end = places.last().map_or(0, |(_, x, wide)| x + wide);
            assert!(end <= width || width < 13, "{width}: {places:?}");
            assert_eq!(places.len(), if width < 40 { 2 } else { 3 });
        }
    }
}
