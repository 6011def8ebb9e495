#!/usr/bin/env bash
# Measures the release build on the embedded broker and on Apache Kafka, and writes tests/benchmarks/RESULTS.md.
# Arguments go to the program: --quick.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

target=${CARGO_TARGET_DIR:-target}
work=$(mktemp -d)
trap 'scripts/kafka.sh clean --dir "$work/kafka" >/dev/null 2>&1 || true; rm -rf "$work"' EXIT
results=tests/benchmarks/RESULTS.md

export UNBATCH_BIN=$PWD/$target/release/unbatch
[[ $target != /* ]] || UNBATCH_BIN=$target/release/unbatch
UNBATCH_TEST_BROKERS=embedded "$target/release/unbatch-benchmarks" --out "$work/embedded.md" "$@"
if UNBATCH_TEST_KAFKA=$(scripts/kafka.sh start --dir "$work/kafka" --stop-with $$); then
  export UNBATCH_TEST_KAFKA
  UNBATCH_TEST_BROKERS=kafka "$target/release/unbatch-benchmarks" --out "$work/kafka.md" "$@"
else
  printf '## On Apache Kafka\n\nNot measured: it could not be started.\n' >"$work/kafka.md"
fi
{
  printf '# Results\n\nMade by `make bench ARGS="%s"` on %s, %s cores, %s, rustc %s. ' "$*" "$(date -u +%F)" "$(nproc)" \
    "$(uname -sm)" "$(rustc --version | cut -d' ' -f2)"
  printf 'The broker runs on the same cores. Only ratios within a run mean anything on another machine.\n\n'
  cat "$work/embedded.md"
  printf '\n'
  cat "$work/kafka.md"
} >"$results"
echo "written to $results" >&2
