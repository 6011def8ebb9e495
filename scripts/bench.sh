#!/usr/bin/env bash
# Measures the release build and writes tests/benchmarks/RESULTS.md. Arguments go to the program: --quick.
#   UNBATCH_BENCH_PARTS      which sections, of "source embedded kafka dumps giants"; the others keep what they say
#   UNBATCH_BENCH_ROWS, UNBATCH_BENCH_BIG_ROWS, UNBATCH_BENCH_DUMP_ROWS, UNBATCH_BENCH_GIANT_BYTES   sizes; TMPDIR: where the files lie
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

target=${CARGO_TARGET_DIR:-target}
[[ $target == /* ]] || target=$PWD/$target
parts=${UNBATCH_BENCH_PARTS:-source embedded kafka dumps giants}
results=tests/benchmarks/RESULTS.md
version=4.3.1
work=$(mktemp -d)
trap 'scripts/kafka.sh clean --dir "$work/kafka" >/dev/null 2>&1 || true; rm -rf "$work"' EXIT
export UNBATCH_BIN=$target/release/unbatch

connect_jars() { # prints the folder of a Kafka Connect worker with its file source
  local cache=${XDG_CACHE_HOME:-$HOME/.cache}/unbatch
  local jars=$cache/kafka-connect-$version fresh
  if [[ ! -d $jars ]]; then
    mkdir -p "$cache"
    fresh=$(mktemp -d "$cache/.connect-XXXXXX")
    if ! mvn -q -B -Dstyle.color=never -f tests/benchmarks/connect/pom.xml "-Dkafka.version=$version" \
      org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies \
      -DincludeScope=runtime "-DoutputDirectory=$fresh" >&2; then
      rm -rf "$fresh"
      return 1
    fi
    mv -T "$fresh" "$jars" 2>/dev/null || rm -rf "$fresh"
  fi
  echo "$jars"
}

has_kafka() { # starts it once
  [[ ${UNBATCH_TEST_KAFKA:-} ]] ||
    UNBATCH_TEST_KAFKA=$(scripts/kafka.sh start --dir "$work/kafka" --set log.segment.delete.delay.ms=1000 --stop-with $$) || return 1
  export UNBATCH_TEST_KAFKA
}

measure() { # part, argument of the program
  local part=$1
  shift
  "$target/release/unbatch-benchmarks" "$@" --out "$work/$part.new"
  {
    cat "$work/$part.new"
    printf '\nMade by `make bench ARGS="%s"` on %s, %s cores, %s, rustc %s%s.\n\n' "$arguments" "$(date -u +%F)" "$(nproc)" \
      "$(uname -sm)" "$(rustc --version | cut -d' ' -f2)" "$(env | grep '^UNBATCH_BENCH_[RBDG].*S=' | sort | sed 's/.*/, `&`/' | tr -d '\n')"
  } >"$work/$part.md"
}

keep() { # part, heading: the section as it stands in the results
  awk -v heading="## $2" '/^## /{is_in = $0 == heading} is_in' "$results" >"$work/$1.md"
}

arguments="$*"
UNBATCH_BENCH_CONNECT=$(connect_jars) || echo "bench.sh: Kafka Connect is not measured: its jars cannot be had" >&2
for part in source embedded kafka dumps giants; do
  case $part in
    source) heading="The source alone" ;;
    embedded) heading="On the embedded broker" ;;
    kafka) heading="On Apache Kafka" ;;
    dumps) heading="Full dumps" ;;
    giants) heading="Odd giants" ;;
  esac
  if [[ " $parts " != *" $part "* ]]; then
    keep "$part" "$heading"
    continue
  fi
  case $part in
    source) measure source source "$@" ;;
    embedded) UNBATCH_TEST_BROKERS=embedded measure embedded topic "$@" ;;
    kafka | dumps)
      if has_kafka; then
        [[ ! $UNBATCH_BENCH_CONNECT ]] || export UNBATCH_BENCH_CONNECT
        UNBATCH_TEST_BROKERS=kafka measure "$part" "${part/kafka/topic}" "$@"
      else
        printf '## %s\n\nNot measured: it could not be started.\n\n' "$heading" >"$work/$part.md"
      fi
      ;;
    giants) UNBATCH_TEST_BROKERS=embedded measure giants giants "$@" ;;
  esac
done
{
  cat <<'TEXT'
# Results

The broker, and the S3 server where there is one, run on the same cores. Only ratios within a turn mean anything on another machine: a figure is the
median, in brackets least to most; a ratio is made within each turn first. Rows are order lines of eleven typed columns and about 150 bytes.
CPU and memory are those of the process that is measured; starting and stopping it counts.

`delivery: at_least_once` changes nothing for the sink `topic`, which always writes in transactions. So "exactly once on and off" is
commits each second against commits each 15 s, the longest that is allowed, and librdkafka alone with transactions of a second against
librdkafka without any. The peer SpoolDir was measured apart, at 59,000 rows per CPU second and 16.9 s of CPU per million rows.

TEXT
  cat "$work"/{source,embedded,kafka,dumps,giants}.md
} >"$work/results.md"
cp "$work/results.md" "$results"
echo "written to $results" >&2
