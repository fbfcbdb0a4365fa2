//! `authd audit verify` with its progress, and `authd audit export` as a stream of lines.

use serde_json::{Value, json};

use super::show::Show;
use crate::access::AnyOperation;
use crate::console::Console;
use crate::error::Result;

/// Rows of one piece: often enough for a bar, seldom enough for speed.
const PIECE: u64 = 20_000;
/// Events of one page.
const PAGE: u64 = 1_000;
/// How wide the bar is.
const WIDTH: u64 = 30;

/// Walks the log piece by piece; the answer is that of one walk. Errors: those of `audit.verify`.
pub async fn verify(console: &Console, operation: &dyn AnyOperation, input: Value, show: &Show) -> Result<Value> {
    if input.get("most").is_some() || input.get("after").is_some() {
        return console.perform(operation, input).await;
    }
    let mut whole: Option<Value> = None;
    let mut after: Option<String> = None;
    loop {
        let mut step = json!({"most": PIECE});
        if let Some(after) = &after {
            step["after"] = after.clone().into();
        }
        let mut piece = console.perform_at_length(operation, step).await?;
        let count = |value: &Value, name: &str| value[name].as_u64().unwrap_or(0);
        if let Some(before) = &whole {
            for name in ["rows", "checkpoints", "erased", "pruned"] {
                let sum = count(before, name) + count(&piece, name);
                if sum > 0 || name != "pruned" {
                    piece[name] = sum.into();
                }
            }
        }
        after = piece["next"].as_str().map(str::to_owned);
        let (done, all) = (count(&piece, "rows") + count(&piece, "pruned"), count(&piece, "of").max(1));
        let Some(_) = &after else {
            show.progress("");
            return Ok(piece);
        };
        let full = (done * WIDTH / all).min(WIDTH) as usize;
        let bar = format!("{}{}", "█".repeat(full), "░".repeat(WIDTH as usize - full));
        show.progress(&format!("{bar} {:>3} %  {done} of {all} rows", (done * 100 / all).min(100)));
        if let Some(piece) = piece.as_object_mut() {
            piece.remove("next");
        }
        whole = Some(piece);
    }
}

/// Writes every page as it comes. Errors: those of `audit.export`.
pub async fn export(console: &Console, operation: &dyn AnyOperation, mut input: Value, show: &Show) -> Result<()> {
    let one = input.get("limit").is_some() || input.get("cursor").is_some();
    if !one {
        input["limit"] = PAGE.into();
    }
    let mut events = 0;
    loop {
        let page = console.perform_at_length(operation, input.clone()).await?;
        show.text(page["text"].as_str().unwrap_or_default())?;
        events += page["events"].as_u64().unwrap_or(0);
        match page["next"].as_str() {
            Some(next) if !one => input["cursor"] = next.into(),
            _ => break,
        }
        // On a terminal the lines themselves are the progress.
        if !show.is_terminal() {
            show.progress(&format!("{events} events"));
        }
    }
    show.progress("");
    Ok(())
}
