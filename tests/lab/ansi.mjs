// A screen as tmux captures it, as a picture: escape sequences of colours become HTML, in a frame like a terminal's.

const CUBE = [0, 95, 135, 175, 215, 255];
const NAMED = ['#000000', '#cc5555', '#55aa55', '#ccaa55', '#5577cc', '#aa66aa', '#55aaaa', '#cccccc'];

function indexed(number) {
  if (number < 16) return NAMED[number % 8];
  if (number >= 232) return `rgb(${Array(3).fill(8 + (number - 232) * 10).join(',')})`;
  const at = number - 16;
  return `rgb(${CUBE[Math.floor(at / 36)]},${CUBE[Math.floor(at / 6) % 6]},${CUBE[at % 6]})`;
}

/** The lines of a capture as HTML. */
export function html(capture) {
  let style = {};
  const spans = [];
  const escape = (text) => text.replace(/[&<>]/g, (c) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;' })[c]);
  for (const [, codes, text] of `\x1b[0m${capture}`.matchAll(/\x1b\[([\d;:]*)m([^\x1b]*)/g)) {
    const numbers = codes.split(/[;:]/).map(Number);
    for (let at = 0; at < numbers.length; at += 1) {
      const code = numbers[at];
      if (code === 0) style = {};
      else if (code === 1) style.bold = true;
      else if (code === 2) style.dim = true;
      else if (code === 4) style.under = true;
      else if (code === 7) style.reverse = true;
      else if (code === 22) style = { ...style, bold: false, dim: false };
      else if (code === 24) style.under = false;
      else if (code === 27) style.reverse = false;
      else if (code === 39) style.fore = undefined;
      else if (code === 49) style.back = undefined;
      else if (code === 38 || code === 48) {
        const name = code === 38 ? 'fore' : 'back';
        if (numbers[at + 1] === 5) [style[name], at] = [indexed(numbers[at + 2]), at + 2];
        else [style[name], at] = [`rgb(${numbers.slice(at + 2, at + 5).join(',')})`, at + 4];
      } else if (code >= 30 && code <= 37) style.fore = NAMED[code - 30];
      else if (code >= 40 && code <= 47) style.back = NAMED[code - 40];
    }
    const [fore, back] = style.reverse ? [style.back ?? '#10131a', style.fore ?? '#c9d1e3'] : [style.fore, style.back];
    const css = [fore && `color:${fore}`, back && `background:${back}`, style.bold && 'font-weight:600', style.dim && 'opacity:.6', style.under && 'text-decoration:underline'];
    const span = (part) => (part ? `<span style="${css.filter(Boolean).join(';')}">${escape(part)}</span>` : '');
    spans.push(text.split('\n').map(span).join('\n'));
  }
  return spans.join('');
}

/** A page with that screen in a window. */
export function page(capture, { title = 'authd tui', ground = '#10131a', text = '#c9d1e3' } = {}) {
  return `<!doctype html><meta charset="utf-8"><style>
    body { margin: 0; background: transparent; display: inline-block; }
    .window { display: inline-block; border-radius: 10px; overflow: hidden; background: ${ground}; border: 1px solid #0003; }
    .bar { font: 12px system-ui, "DejaVu Sans", sans-serif; color: ${text}; opacity: .75; padding: 8px 14px; text-align: center; position: relative; }
    .bar i { position: absolute; top: 10px; width: 11px; height: 11px; border-radius: 50%; }
    pre { margin: 0; padding: 0 12px 12px; font: 13px/15px "DejaVu Sans Mono", "Liberation Mono", monospace; color: ${text}; font-variant-ligatures: none; }
    pre span { display: inline-block; height: 15px; vertical-align: top; white-space: pre; }
  </style><div class="window"><div class="bar"><i style="left:14px;background:#ff5f57"></i><i style="left:34px;background:#febc2e"></i><i style="left:54px;background:#28c840"></i>${title}</div><pre>${html(capture.trimEnd())}</pre></div>`;
}
