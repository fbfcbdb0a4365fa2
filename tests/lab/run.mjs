// Runs the end-to-end tests:  node run.mjs [NAME]
// NAME is a part of a test's name or of a file's. AUTHD_LAB_BROWSER=0 leaves the browser out.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import { fileURLToPath } from 'node:url';

const here = fileURLToPath(new URL('.', import.meta.url));
const [name] = process.argv.slice(2);
let files = fs.readdirSync(`${here}/e2e`).filter((file) => file.endsWith('.test.mjs')).sort();
let pattern = name;
if (name && files.some((file) => file.startsWith(name))) {
  files = files.filter((file) => file.startsWith(name));
  pattern = undefined;
}
const child = spawn(process.execPath, [
  '--test', '--test-concurrency=2', '--test-reporter', './reporter.mjs',
  ...(pattern ? ['--test-name-pattern', pattern.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')] : []),
  ...files.map((file) => `e2e/${file}`),
], { cwd: here, stdio: ['ignore', 'inherit', 'inherit'] });
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal));
child.on('exit', (code, signal) => process.exit(signal ? 1 : code));
