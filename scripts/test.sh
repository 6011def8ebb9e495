#!/usr/bin/env bash
# Runs the tests and ends with what came of them.
#
#   scripts/test.sh all     everything: format, lints, every test with the embedded broker, and what claims exactly-once
#                           again with Apache Kafka, and so does the broker's probe
#   scripts/test.sh check   no server: format, lints, unit tests, simulation with 2,000 seeds, golden files, tidy
#   scripts/test.sh kill    the kill tests; UNBATCH_ROUNDS, UNBATCH_KILL_SOURCE and UNBATCH_TEST_BROKERS=embedded|kafka
#   scripts/test.sh soak    what takes long: 200,000 seeds, 1,000 rounds of the kill tests, every target named `soak`
#
# The last line is `N passed, N failed`; the exit code is 0 when nothing failed. A server that cannot be had puts its
# tests on a list of what was not run, and is a failure with CI=true.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# The same words for every build, so that cargo never builds a crate a second time for other features.
whole=(--workspace --all-features)
[[ ${CI:-} != true ]] || whole+=(--locked)

# The folders whose tests claim exactly-once: they run with both kinds of broker. Their targets are tests/*.rs.
both_brokers=(tests/harness tests/kill tests/e2e connectors/kafka connectors/support/kafka-client)

work=$(mktemp -d)
trap 'stop_kafka; stop_s3; rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
export UNBATCH_NOT_RUN=$work/not-run
: >"$UNBATCH_NOT_RUN"
: >"$work/passes"
broken=()

say() { printf '\n=== %s\n' "$*"; }

# --- Apache Kafka -----------------------------------------------------------------------------------------------------

stop_kafka() {
  [[ ! -d $work/kafka ]] || scripts/kafka.sh clean --dir "$work/kafka" || true
}

kafka() { # true when UNBATCH_TEST_KAFKA has an address; otherwise a note is on the list, once
  [[ -z ${UNBATCH_TEST_KAFKA:-} ]] || return 0
  [[ ! -f $work/kafka.err ]] || return 1
  if UNBATCH_TEST_KAFKA=$(scripts/kafka.sh start --dir "$work/kafka" --stop-with $$ 2>"$work/kafka.err"); then
    export UNBATCH_TEST_KAFKA
    return 0
  fi
  unset UNBATCH_TEST_KAFKA
  cat "$work/kafka.err" >&2
  local reason
  reason=$(tail -1 "$work/kafka.err" | sed 's/.*kafka\.sh: //')
  if [[ ${CI:-} == true ]]; then
    broken+=("Apache Kafka cannot be started: $reason")
  else
    echo "everything against Apache Kafka: $reason" >>"$work/left-out"
  fi
  return 1
}

# --- an S3 server -----------------------------------------------------------------------------------------------------

stop_s3() {
  [[ ! -d $work/s3 ]] || scripts/s3.sh clean --dir "$work/s3" || true
}

# The first run on a machine builds it, which is done while the linters read.
prepare_s3() {
  [[ ${UNBATCH_TEST_S3:-} ]] || nice scripts/s3.sh install >/dev/null 2>&1 &
}

s3() { # sets UNBATCH_TEST_S3; without a server each test that wants one notes itself as not run
  [[ -z ${UNBATCH_TEST_S3:-} ]] || return 0
  wait # for what prepares it
  if UNBATCH_TEST_S3=$(scripts/s3.sh start --dir "$work/s3" --stop-with $$); then
    export UNBATCH_TEST_S3
    return 0
  fi
  unset UNBATCH_TEST_S3
  [[ ${CI:-} != true ]] || broken+=("the S3 server cannot be started")
}

# --- passes -----------------------------------------------------------------------------------------------------------

# Runs cargo test and adds up what it says. A pass whose cargo fails without a failed test did not build or died.
pass() { # name, arguments of cargo test
  local name=$1 code=0 passed failed
  shift
  say "$name"
  cargo test "${whole[@]}" --no-fail-fast "$@" 2>&1 | tee "$work/log" || code=${PIPESTATUS[0]}
  read -r passed failed < <(awk '/^test result: / { p += $4; f += $6 } END { print p + 0, f + 0 }' "$work/log")
  grep -E '^test .* \.\.\. FAILED$' "$work/log" | sed "s/^test \(.*\) \.\.\. FAILED/  failed: \1 ($name)/" >>"$work/failures" || true
  if ((code != 0 && failed == 0)); then
    broken+=("$name: cargo ended with $code without a failed test; a target did not build, or a test process died")
  fi
  echo "$name: $passed passed, $failed failed" >>"$work/passes"
  echo "$passed $failed" >>"$work/totals"
}

lint() {
  say "format and lints"
  cargo fmt --all --check || broken+=("cargo fmt --all --check")
  cargo clippy "${whole[@]}" --all-targets --keep-going -- -D warnings || broken+=("cargo clippy")
}

# `--test NAME` for each integration test in the folders; false when there is none.
targets_of() { # folders; sets the array `targets`
  local folder file
  targets=()
  for folder in "$@"; do
    for file in "$folder"/tests/*.rs "$folder"/tests/*/main.rs; do
      [[ -e $file ]] || continue
      file=${file%/main.rs}
      file=${file##*/}
      targets+=(--test "${file%.rs}")
    done
  done
  ((${#targets[@]}))
}

# All binaries and tests in one go: tests start the binaries from beside themselves.
build() {
  say "build"
  cargo build "${whole[@]}" --lib --bins --tests --examples || {
    broken+=("cargo build")
    finish
  }
}

with_kafka() { # folders whose tests run against Apache Kafka
  targets_of "$@" || return 0
  kafka || return 0
  # What is asked of the embedded broker is what Apache Kafka does. In the same pass: another choice of targets means other
  # features of what they lean on, which cargo would build again.
  targets+=(--test probe)
  UNBATCH_TEST_BROKERS=kafka UNBATCH_TEST_BOOTSTRAP=$UNBATCH_TEST_KAFKA \
    pass "with Apache Kafka, the probe too" "${targets[@]}"
}

finish() {
  local passed=0 failed=0 p f line not_run
  say "summary"
  [[ ! -f $work/failures ]] || cat "$work/failures"
  cat "$work/passes"
  while read -r p f; do
    passed=$((passed + p)) failed=$((failed + f))
  done < <(cat "$work/totals" 2>/dev/null || true)
  # a test that finds its server missing returns early, which cargo counts as passed
  sort -u -o "$UNBATCH_NOT_RUN" "$UNBATCH_NOT_RUN"
  not_run=$(wc -l <"$UNBATCH_NOT_RUN")
  passed=$((passed > not_run ? passed - not_run : 0))
  while read -r line; do
    echo "not run: $line"
  done < <(cat "$work/left-out" "$UNBATCH_NOT_RUN" 2>/dev/null || true)
  # a step that broke counts like a test, so that the last line never looks better than the exit code
  for line in ${broken[@]+"${broken[@]}"}; do
    echo "failed: $line"
    failed=$((failed + 1))
  done
  echo "$passed passed, $failed failed"
  ((failed == 0))
  exit
}

case ${1:-} in
  all)
    prepare_s3
    lint
    build
    kafka || true
    s3
    UNBATCH_TEST_BROKERS=embedded pass "with the embedded broker"
    with_kafka "${both_brokers[@]}"
    ;;
  check)
    export UNBATCH_SEEDS=${UNBATCH_SEEDS:-2000}
    lint
    pass "unit tests" --lib --bins
    ! targets_of tests/simulation tests/golden tests/tidy || pass "simulation, golden files, tidy" "${targets[@]}"
    ;;
  kill)
    targets_of tests/kill || {
      broken+=("tests/kill has no tests")
      finish
    }
    build
    case ${UNBATCH_TEST_BROKERS:=embedded} in
      embedded) pass "kill tests with the embedded broker" "${targets[@]}" ;;
      kafka) with_kafka tests/kill ;;
      *) broken+=("UNBATCH_TEST_BROKERS is embedded or kafka, not $UNBATCH_TEST_BROKERS") ;;
    esac
    ;;
  soak)
    export UNBATCH_SEEDS=${UNBATCH_SEEDS:-200000} UNBATCH_ROUNDS=${UNBATCH_ROUNDS:-1000}
    build
    ! targets_of tests/simulation tests/kill || pass "many seeds and rounds, embedded broker" "${targets[@]}"
    with_kafka tests/kill
    # targets with `test = false` in their manifest: only run when they are named
    if compgen -G 'tests/*/tests/soak.rs' >/dev/null || compgen -G 'connectors/*/tests/soak.rs' >/dev/null; then
      kafka || true
      pass "soak" --test soak
    fi
    ;;
  *)
    sed -n '2,11s/^# \{0,1\}//p' "$0" >&2
    trap - EXIT
    rm -rf "$work"
    exit 2
    ;;
esac
finish
