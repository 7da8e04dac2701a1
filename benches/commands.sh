#!/usr/bin/env bash
# Times the command beside wasmtime's, same machine, same minute, for WASI 0.1, 0.2 and 0.3: the start of a small precompiled
# program, process included; 1 GiB from a file and through a pipe to /dev/null; the words of 256 MiB of text counted.
#
#   cargo build --release -p tidegate-cli
#   benches/commands.sh [TIDEGATE [WASMTIME [REPORT]]]
#
# It needs hyperfine, and 1.3 GiB in $TMPDIR. REPORT is a file for the tables, which are printed in any case.
set -euo pipefail
cd "$(dirname "$0")/.."
tidegate=$(realpath "${1:-target/release/tidegate}")
wasmtime=$(realpath "$(command -v "${2:-wasmtime}")")
report=${3:-/dev/null}
guests=guests/wasm
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

generations=(1 2 3)
for name in cat wc; do
    for n in "${generations[@]}"; do
        "$tidegate" compile -o "$tmp/$name-p$n.tidegate" "$guests/$name-p$n.wasm"
        "$wasmtime" compile -o "$tmp/$name-p$n.wasmtime" "$guests/$name-p$n.wasm"
    done
done
head -c 1G /dev/zero >"$tmp/input"
# Real text of words and lines, as often as fits.
while cat README.md docs/decisions/*.md; do :; done 2>/dev/null | head -c 256M >"$tmp/text" || true

# The commands' names hold no path: what is timed is found by $PATH.
mkdir "$tmp/bin"
ln -s "$tidegate" "$tmp/bin/tidegate"
ln -s "$wasmtime" "$tmp/bin/wasmtime"
export PATH=$tmp/bin:$PATH
cd "$tmp"

table() { # TITLE HYPERFINE-ARGUMENTS...
    local title=$1
    shift
    printf '\n## %s\n\n' "$title"
    hyperfine --style none --export-markdown table.md "$@" >/dev/null 2>&1
    cat table.md
}
# For each generation, a pair of commands: PROGRAM [BEFORE [AFTER]], with what stands before and after each.
pairs() {
    local n
    commands=()
    for n in "${generations[@]}"; do
        commands+=(
            -n "tidegate, WASI 0.$n" "${2-}tidegate run $1-p$n.tidegate${3-}"
            -n "wasmtime, WASI 0.$n" "${2-}wasmtime run --allow-precompiled $1-p$n.wasmtime${3-}"
        )
    done
}

{
    echo "$(tidegate --version) beside $(wasmtime --version), $(nproc) processors"

    pairs cat
    table 'Start of a small precompiled program, process included' -N --warmup 20 --runs 300 \
        -n 'tidegate --version' 'tidegate --version' -n 'wasmtime --version' 'wasmtime --version' "${commands[@]}"
    pairs cat '' ' <input'
    table '1 GiB from a file to /dev/null, by pieces of 64 KiB' --warmup 1 --runs 5 \
        -n 'dd bs=64K' 'dd bs=64K status=none <input' "${commands[@]}"
    pairs cat 'cat input | '
    table '1 GiB through a pipe to /dev/null' --warmup 1 --runs 5 \
        -n 'dd bs=64K' 'cat input | dd bs=64K status=none' "${commands[@]}"
    pairs wc '' ' <text'
    table 'Lines, words and bytes of 256 MiB of text' --warmup 1 --runs 5 "${commands[@]}"
} | tee "$report"
