#!/usr/bin/env bash
# A real S3 server on loopback for the tests: versitygw, built once from its Go module. Objects are plain files in the state folder.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: scripts/s3.sh COMMAND [OPTION...]

commands
  start         build the server when it is not there, start it, wait until it serves; stdout is its address and nothing else
  stop          SIGTERM, SIGKILL after 10 s
  kill          SIGKILL
  freeze        SIGSTOP: it takes connections and answers nothing
  thaw          SIGCONT
  up            start it again: same data, same port
  clean         stop, then remove the state folder
  install       only build the server (about two minutes of CPU, once) and print its path

options
  --dir DIR         state folder, one server each (default ${TMPDIR:-/tmp}/unbatch-s3)
  --bucket NAME     a bucket that is there from the start (default unbatch); may be repeated
  --tls             serve https, with a certificate for localhost by the authority in DIR/tls/ca.pem; only when the folder is new
  --stop-with PID   clean up by itself when that process has ended, however it ended

Keys: testkey / testsecret, region us-east-1. The server is kept in ${XDG_CACHE_HOME:-$HOME/.cache}/unbatch.
TEXT
}

die() {
  echo "s3.sh: $*" >&2
  exit 1
}

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
command=${1:-help}
shift || true
dir=${TMPDIR:-/tmp}/unbatch-s3
buckets=()
stop_with=
tls=
while (($#)); do
  if [[ $1 == --tls ]]; then
    tls=yes
    shift
    continue
  fi
  (($# > 1)) || die "$1 needs a value"
  case $1 in
    --dir) dir=$2 ;;
    --bucket) buckets+=("$2") ;;
    --stop-with) stop_with=$2 ;;
    *) die "unknown option $1; see: s3.sh help" ;;
  esac
  shift 2
done
((${#buckets[@]})) || buckets=(unbatch)
version=1.8.0
cache=${XDG_CACHE_HOME:-$HOME/.cache}/unbatch
server=$cache/versitygw-$version/versitygw

install_server() {
  [[ ! -x $server ]] || return 0
  # where Go's own installer puts it, which not every shell's path has
  PATH=$PATH:/usr/local/go/bin
  command -v go >/dev/null || die "Go 1.25 or newer (go) is needed once to build the S3 server"
  mkdir -p "$cache"
  local fresh
  fresh=$(mktemp -d "$cache/.versitygw-XXXXXX")
  echo "s3.sh: building versitygw $version" >&2
  if ! CGO_ENABLED=0 GOBIN=$fresh go install -trimpath -ldflags '-s -w' \
    "github.com/versity/versitygw/cmd/versitygw@v$version" >"$fresh/log" 2>&1; then
    tail -5 "$fresh/log" >&2
    rm -rf "$fresh"
    die "versitygw $version cannot be built"
  fi
  rm "$fresh/log"
  chmod 755 "$fresh"
  # two runs may build at once: the rename lets one win, and the loser's copy goes
  mv -T "$fresh" "${server%/*}" 2>/dev/null || rm -rf "$fresh"
}

candidate=$((20000 + RANDOM % 10000))
free_port() { # sets REPLY; stays below the kernel's own ephemeral range, so nobody is handed the port meanwhile
  while :; do
    candidate=$((candidate >= 31999 ? 20000 : candidate + 1))
    (exec 3<>"/dev/tcp/127.0.0.1/$candidate") 2>/dev/null || break
  done
  REPLY=$candidate
}

make_certificate() {
  command -v openssl >/dev/null || die "openssl is needed for --tls"
  local at=$dir/tls
  mkdir -p "$at"
  {
    openssl req -x509 -newkey rsa:2048 -nodes -keyout "$at/ca.key" -out "$at/ca.pem" -days 30 -subj '/CN=unbatch test authority' \
      -addext 'basicConstraints=critical,CA:TRUE' -addext 'keyUsage=critical,keyCertSign'
    openssl req -newkey rsa:2048 -nodes -keyout "$at/server.key" -out "$at/server.csr" -subj '/CN=localhost'
    openssl x509 -req -in "$at/server.csr" -CA "$at/ca.pem" -CAkey "$at/ca.key" -CAcreateserial -days 30 \
      -extfile <(echo 'subjectAltName=DNS:localhost') -out "$at/server.pem"
  } 2>/dev/null
}

address() {
  if [[ -d $dir/tls ]]; then echo "https://localhost:$(<"$dir/port")"; else echo "http://127.0.0.1:$(<"$dir/port")"; fi
}

alive() { # is the process of the pid file this very server, and not a later process with its number?
  [[ -f $dir/pid ]] && tr '\0' ' ' 2>/dev/null <"/proc/$(<"$dir/pid")/cmdline" | grep -qF " $dir/data"
}

launch() {
  ! alive || return 0
  rm -f "$dir/pid"
  local secure=()
  [[ ! -d $dir/tls ]] || secure=(--cert "$dir/tls/server.pem" --key "$dir/tls/server.key")
  # its own session, so that Ctrl-C of a test run does not take it before the tests are done with it; metadata beside the data, since
  # not every file system has room for it
  setsid bash -c 'echo $$ >"$0/pid"; exec "$@" >>"$0/log" 2>&1 </dev/null' "$dir" \
    "$server" --quiet --port "127.0.0.1:$(<"$dir/port")" --access testkey --secret testsecret \
    ${secure[@]+"${secure[@]}"} posix --sidecar "$dir/meta" "$dir/data" >/dev/null 2>&1 </dev/null &
}

await() {
  local until=$((SECONDS + 30))
  while ((SECONDS < until)); do
    if alive && (exec 3<>"/dev/tcp/127.0.0.1/$(<"$dir/port")") 2>/dev/null; then
      address
      return 0
    fi
    sleep 0.05
    if [[ -f $dir/pid ]] && ! kill -0 "$(<"$dir/pid")" 2>/dev/null; then
      tail -5 "$dir/log" >&2
      die "the server ended"
    fi
  done
  die "no server on port $(<"$dir/port") after 30 s"
}

end_with() { # signal
  ! alive || kill "-$1" "$(<"$dir/pid")" 2>/dev/null || true
  # a frozen one hears no SIGTERM
  ! alive || kill -CONT "$(<"$dir/pid")" 2>/dev/null || true
  local until=$((SECONDS + 10))
  while alive && ((SECONDS < until)); do sleep 0.05; done
  ! alive || kill -KILL "$(<"$dir/pid")" 2>/dev/null || true
  rm -f "$dir/pid"
}

watch_owner() { # cleans up after a test process that was itself killed
  setsid bash -c 'while kill -0 "$1" 2>/dev/null && [[ -d $2 ]]; do sleep 1; done; [[ ! -d $2 ]] || "$0" clean --dir "$2"' \
    "$here/s3.sh" "$stop_with" "$dir" >/dev/null 2>&1 </dev/null &
}

[[ ! -d $dir ]] || dir=$(cd "$dir" && pwd)
case $command in
  start)
    install_server
    mkdir -p "$dir/data" "$dir/meta"
    dir=$(cd "$dir" && pwd)
    for bucket in "${buckets[@]}"; do mkdir -p "$dir/data/$bucket"; done
    if [[ ! -f $dir/port ]]; then
      [[ ! $tls ]] || make_certificate
      free_port
      echo "$REPLY" >"$dir/port"
    fi
    launch
    [[ ! $stop_with ]] || watch_owner
    await
    ;;
  stop) end_with TERM ;;
  kill)
    alive || die "the server is not up"
    end_with KILL
    ;;
  freeze | thaw)
    alive || die "the server is not up"
    signal=STOP
    [[ $command == freeze ]] || signal=CONT
    kill "-$signal" "$(<"$dir/pid")"
    ;;
  up)
    [[ -f $dir/port ]] || die "no server in $dir"
    install_server
    launch
    await
    ;;
  clean)
    end_with TERM
    rm -rf "$dir"
    ;;
  install)
    install_server
    echo "$server"
    ;;
  help | --help | -h) usage ;;
  *)
    usage >&2
    exit 2
    ;;
esac
