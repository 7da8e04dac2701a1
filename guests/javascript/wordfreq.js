// Counts words, in JavaScript: a component made by componentize-js.
//
// Reads the files named as arguments, or standard input without any, and prints the most frequent words.

import { getArguments } from 'wasi:cli/environment@0.2.12';
import { getStdin } from 'wasi:cli/stdin@0.2.12';
import { getStdout } from 'wasi:cli/stdout@0.2.12';
import { getDirectories } from 'wasi:filesystem/preopens@0.2.12';

export const run = {
  run() {
    const names = getArguments().slice(1);
    const texts = names.length ? names.map(readFile) : [readAll(getStdin())];
    const count = new Map();
    for (const text of texts) {
      for (const [word] of text.toLowerCase().matchAll(/[a-z0-9_]+/g)) {
        count.set(word, (count.get(word) ?? 0) + 1);
      }
    }
    const most = [...count].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1)).slice(0, 10);
    write(most.map(([word, times]) => `${String(times).padStart(8)} ${word}\n`).join(''));
  },
};

function readFile(name) {
  for (const [directory, prefix] of getDirectories()) {
    if (prefix === '.' || name.startsWith(`${prefix}/`)) {
      const path = prefix === '.' ? name : name.slice(prefix.length + 1);
      const file = directory.openAt({ symlinkFollow: true }, path, {}, { read: true });
      return readAll(file.readViaStream(0n));
    }
  }
  throw new Error(`${name} is in no folder that was granted`);
}

function readAll(stream) {
  const decoder = new TextDecoder();
  let text = '';
  for (;;) {
    let bytes;
    try {
      bytes = stream.blockingRead(65536n);
    } catch (error) {
      if (error.payload?.tag === 'closed') return text + decoder.decode();
      throw error;
    }
    text += decoder.decode(bytes, { stream: true });
  }
}

function write(text) {
  const out = getStdout();
  const bytes = new TextEncoder().encode(text);
  for (let from = 0; from < bytes.length; from += 4096) {
    out.blockingWriteAndFlush(bytes.subarray(from, from + 4096));
  }
}
