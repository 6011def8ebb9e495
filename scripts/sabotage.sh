#!/usr/bin/env bash
# Shows that the tests of the delivery rules test them: switches each rule off and expects that a test of its name fails.
# Ends with `N passed, N failed`, where a rule passes when its loss was noticed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

passed=0 failed=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT

rule() { # rule, beginning of its tests' names, target of cargo test…
  local rule=$1 tests=$2
  shift 2
  if UNBATCH_SABOTAGE=$rule timeout 600 cargo test -q --workspace --all-features "$@" -- "$tests" >"$log" 2>&1; then
    echo "not noticed: $rule is switched off and every test named $tests* passes"
    failed=$((failed + 1))
  elif grep -q "^test result: FAILED" "$log"; then
    echo "noticed: $rule ($(grep -E "^    [a-z_:0-9]*${tests}[a-z_0-9]*$" "$log" | sort -u | sed 's/.*:://' | xargs))"
    passed=$((passed + 1))
  else
    echo "failed: the tests of $rule did not run"
    tail -20 "$log"
    failed=$((failed + 1))
  fi
}

for n in 1 2 3; do rule "F$n" "f${n}_" --test rules; done
for line in unsettled duplicate other-content rewritten grown truncated late; do
  rule "file-$line" "file_${line//-/_}" --test rules
done
for line in guards resume changed baseline; do rule "dump-$line" "dump_${line}_" --test dumps; done
for n in 1 2 3 4 5 6 7 8; do rule "K$n" "k${n}_" --test rules; done
# the engine's half of these two
for n in 3 7; do rule "K$n" "k${n}_" --lib; done
echo "$passed passed, $failed failed"
((failed == 0))
