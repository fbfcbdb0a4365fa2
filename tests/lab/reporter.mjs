// One line a test, failures in full at the end, and the closing count. `node:test` reporter.
const colour = process.stdout.isTTY && !process.env.NO_COLOR;
const paint = (code, text) => (colour ? `\x1b[${code}m${text}\x1b[0m` : text);

export default async function* reporter(source) {
  const count = { passed: 0, failed: 0, skipped: 0 };
  const failures = [];
  for await (const { type, data } of source) {
    if ((type === 'test:stdout' || type === 'test:stderr') && !/^oidc-provider (WARNING|NOTICE)/.test(data.message)) yield data.message;
    if (type !== 'test:pass' && type !== 'test:fail') continue;
    // a file that fails before it has tests is reported under its own path; otherwise only tests count
    const ofFile = data.nesting === 0 && /\.test\.mjs$/.test(data.name);
    if (data.details?.type === 'suite' || (ofFile && type === 'test:pass')) continue;
    if (/does not match pattern/.test(data.skip)) continue;
    if (data.skip !== undefined) {
      count.skipped += 1;
      yield `${paint(33, '        SKIP')} ${data.name} (${data.skip})\n`;
      continue;
    }
    const took = `[${(data.details.duration_ms / 1000).toFixed(3).padStart(8)}s]`;
    if (type === 'test:pass') {
      count.passed += 1;
      yield `${paint(32, '        PASS')} ${took} ${data.name}\n`;
    } else {
      count.failed += 1;
      const error = data.details.error?.cause ?? data.details.error;
      failures.push([data.name, error?.stack ?? String(error?.message ?? error)]);
      yield `${paint(31, '        FAIL')} ${took} ${data.name}\n`;
    }
  }
  // a world that does not start fails every test of its file in the same way: once is enough
  let before;
  for (const [name, text] of failures) {
    yield `\n${paint(31, '--- FAIL')} ${name}\n${text === before ? '    (the same)' : text.replace(/^/gm, '    ')}\n`;
    before = text;
  }
  yield `\ne2e: ${count.passed} passed, ${count.failed} failed, ${count.skipped} skipped\n`;
}
