#!/usr/bin/env bash
# Times the command beside wasmtime's, same machine, same minute: 1 GiB from standard input to /dev/null, and the start of a
# small precompiled program, process included.
#
#   cargo build --release -p tidegate-cli
#   benches/commands.sh [TIDEGATE [WASMTIME]]
#
# It needs hyperfine, and 1 GiB in $TMPDIR.
set -euo pipefail
cd "$(dirname "$0")/.."
tidegate=${1:-target/release/tidegate}
wasmtime=${2:-wasmtime}
guests=guests/wasm
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

"$tidegate" --version
"$wasmtime" --version

head -c 1G /dev/zero >"$tmp/input"
for guest in cat-p1 cat-p2; do
    "$tidegate" compile -o "$tmp/$guest.tidegate" "$guests/$guest.wasm"
    "$wasmtime" compile -o "$tmp/$guest.wasmtime" "$guests/$guest.wasm"
done

echo "== 1 GiB from a file on standard input to /dev/null"
hyperfine --warmup 1 --runs 5 --style basic --export-markdown "$tmp/copy.md" \
    -n 'dd bs=64K' "dd bs=64K status=none <$tmp/input" \
    -n 'tidegate, WASI 0.1' "$tidegate run $tmp/cat-p1.tidegate <$tmp/input" \
    -n 'wasmtime, WASI 0.1' "$wasmtime run --allow-precompiled $tmp/cat-p1.wasmtime <$tmp/input" \
    -n 'tidegate, WASI 0.2' "$tidegate run $tmp/cat-p2.tidegate <$tmp/input" \
    -n 'wasmtime, WASI 0.2' "$wasmtime run --allow-precompiled $tmp/cat-p2.wasmtime <$tmp/input" >/dev/null
cat "$tmp/copy.md"

echo "== start of a small precompiled program, process included"
hyperfine -N --warmup 20 --runs 300 --style basic --export-markdown "$tmp/start.md" \
    -n 'tidegate --version' "$tidegate --version" \
    -n 'tidegate, WASI 0.1' "$tidegate run $tmp/cat-p1.tidegate" \
    -n 'tidegate, WASI 0.2' "$tidegate run $tmp/cat-p2.tidegate" \
    -n 'wasmtime --version' "$wasmtime --version" \
    -n 'wasmtime, WASI 0.1' "$wasmtime run --allow-precompiled $tmp/cat-p1.wasmtime" \
    -n 'wasmtime, WASI 0.2' "$wasmtime run --allow-precompiled $tmp/cat-p2.wasmtime" >/dev/null
cat "$tmp/start.md"
