//! Bars over time, and meters.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Span;

use crate::tui::theme::Look;

/// Bars of counts, the newest at the right, in so many lines as the area has; the greatest count fills them.
pub fn bars(frame: &mut Frame<'_>, area: Rect, look: Look, counts: &[u32], greatest: u32, style: Style) {
    let glyphs = look.bars();
    let greatest = u64::from(greatest.max(1));
    let wide = usize::from(area.width);
    let skip = counts.len().saturating_sub(wide);
    let high = u64::from(area.height) * 8;
    for (at, count) in counts.iter().skip(skip).enumerate() {
        let Ok(dx) = u16::try_from(at) else { break };
        // Whatever happened at all is seen.
        let mut eighths = (u64::from(*count) * high).div_ceil(greatest).min(high);
        for dy in 0..area.height {
            let part = usize::try_from(eighths.min(8)).unwrap_or(8);
            eighths = eighths.saturating_sub(8);
            let y = area.y + area.height - 1 - dy;
            if part > 0 {
                frame.buffer_mut().set_string(area.x + dx, y, glyphs.get(part).copied().unwrap_or(" "), style);
            } else if dy == 0 {
                frame.buffer_mut().set_string(area.x + dx, y, look.either("▁", "."), look.line());
            }
        }
    }
}

/// A part of a whole.
pub fn meter(look: Look, part: usize, whole: usize, wide: usize, style: Style) -> Vec<Span<'static>> {
    let filled = (part * wide).div_ceil(whole.max(1)).min(wide);
    vec![
        Span::styled(look.either("━", "=").repeat(filled), style),
        Span::styled(look.either("─", "-").repeat(wide - filled), look.line()),
    ]
}
