//! What it is time to ask.

use serde_json::json;

use super::ask::{Ask, PACES, Poll, What};
use super::shown::{list, stamp, text};
use super::state::{Asked, Link, State};
use super::update::Effect;

/// Between two looks for a server that is away, in milliseconds.
const AWAY: i64 = 2_000;

/// What it is time to ask.
pub fn due(state: &mut State) -> Vec<Effect> {
    let mut effects = Vec::new();
    if matches!(state.link, Link::Lost(..)) {
        // The feed finds the server again; before there is one, a look at it does.
        let place = state.asked.entry(Poll::Place).or_default();
        if !state.following && place.at.is_none_or(|at| state.now - at >= AWAY) {
            *place = Asked { at: Some(state.now), pending: true, wanted: false };
            effects.push(Effect::Ask(Ask::Poll(Poll::Place), What::Place));
        }
        return effects;
    }
    if let (Some(cursor), false) = (state.cursor, state.following) {
        state.following = true;
        effects.push(Effect::Follow(cursor));
    }
    if state.held.is_some() {
        return effects;
    }
    let (now, panel) = (state.now, state.panel);
    let hour = stamp(now - 3_600_000);
    for pace in PACES {
        let shown = pace.panels.contains(&panel);
        let every = if shown { pace.shown } else { pace.hidden };
        let Some(known) = state.asked.get(&pace.poll).copied() else { continue };
        // A great list is not read as a whole more often than it can be.
        let many = pace.poll.view().map_or(0, |view| state.table(view).len());
        let every = i64::from(every) * 1_000 * if many > 2_000 { 10 } else { 1 };
        let least = if shown || pace.poll == Poll::Fresh { 700 } else { 3_000 }
            * if many > 2_000 && pace.poll.whole() { 20 } else { 1 };
        let time = match known.at {
            None => true,
            Some(at) => (known.wanted && now - at >= least) || (every > 0 && now - at >= every),
        };
        let never_shown = pace.hidden == 0 && !shown && !pace.panels.is_empty();
        if known.pending || !time || never_shown || (pace.poll == Poll::Fresh && !known.wanted) {
            continue;
        }
        let busy = pace.poll.view().is_some_and(|view| state.more.contains(&view));
        let endpoint = state.endpoint.as_ref().map(|(id, _)| id.as_str());
        let Some(what) = pace.poll.what(None, endpoint, &hour).filter(|_| !busy) else { continue };
        state.asked.insert(pace.poll, Asked { at: Some(now), pending: true, wanted: false });
        effects.push(Effect::Ask(Ask::Poll(pace.poll), what));
    }
    effects.extend(acknowledgements(state));
    effects
}

/// Whether the apps have taken note of the sessions that were ended.
fn acknowledgements(state: &mut State) -> Vec<Effect> {
    let now = state.now;
    let Some(run) = &mut state.run else { return Vec::new() };
    let over = run.plan.operation != "session.revoke" || !run.is_over() || now > run.until || now - run.looked < 1_000;
    if over || (!run.apps.is_empty() && run.is_told()) {
        return Vec::new();
    }
    run.looked = now;
    run.apps.resize(run.plan.targets.len().min(50), json!({"apps": [{"logout": "pending"}]}));
    let open = run
        .apps
        .iter()
        .enumerate()
        .filter(|(_, session)| list(session, "apps").iter().any(|app| text(app, "logout") == "pending"));
    open.filter_map(|(at, _)| {
        let (_, input) = run.plan.targets.get(at)?;
        Some(Effect::Ask(Ask::Acknowledged(run.id, at), What::of("session.get", input.clone())))
    })
    .collect()
}
