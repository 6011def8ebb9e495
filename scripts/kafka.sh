#!/usr/bin/env bash
# A real Apache Kafka (KRaft) on loopback for the tests, run from the jars that Maven has.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: scripts/kafka.sh COMMAND [OPTION...]

commands
  start         format the state folder when it is new, start every broker, wait until they serve;
                stdout is the bootstrap address and nothing else
  stop          SIGTERM to every broker, SIGKILL after 20 s
  status        one line a broker; exit 1 when one is down
  bootstrap     print the bootstrap address
  kill N        SIGKILL broker N
  up N          start broker N again: same data, same port
  clean         stop, then remove the state folder
  jars          only fetch the jars and print their folder
  tool CLASS [ARG...]   run a class of the jars, such as org.apache.kafka.tools.TopicCommand

options
  --dir DIR         state folder, one cluster each (default ${TMPDIR:-/tmp}/unbatch-kafka)
  --version V       3 (3.9.2) or 4 (4.3.1, the default), or a full version
  --brokers N       brokers, each a controller too (default 1)
  --heap SIZE       Java heap of one broker (default 512m)
  --set KEY=VALUE   one more broker property; may be repeated; only when the folder is new
  --secure          also TLS, mutual TLS and SASL listeners; only when the folder is new
  --stop-with PID   clean up by itself when that process has ended, however it ended

With --secure the state folder also holds
  secure.env        KAFKA_TLS, KAFKA_MTLS, KAFKA_SASL, KAFKA_SASL_TLS: bootstrap addresses of each kind of listener
  tls/ca.pem        the authority; tls/client.pem and tls/client.key a client it signed;
                    tls/stranger-ca.pem, tls/stranger.pem and .key the same from an authority the brokers do not know
SASL takes PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512; users alice / alice-secret and bob / bob-secret.

Jars are kept in ${XDG_CACHE_HOME:-$HOME/.cache}/unbatch.
TEXT
}

die() {
  echo "kafka.sh: $*" >&2
  exit 1
}

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
command=${1:-help}
shift || true
dir=${TMPDIR:-/tmp}/unbatch-kafka
version=${UNBATCH_KAFKA_VERSION:-4}
brokers=1
heap=512m
secure=
stop_with=
properties=()
arguments=()
while (($#)); do
  case $1 in
    --dir | --version | --brokers | --heap | --set | --stop-with)
      (($# > 1)) || die "$1 needs a value"
      case $1 in
        --dir) dir=$2 ;;
        --version) version=$2 ;;
        --brokers) brokers=$2 ;;
        --heap) heap=$2 ;;
        --set) properties+=("$2") ;;
        --stop-with) stop_with=$2 ;;
      esac
      shift 2
      ;;
    --secure)
      secure=yes
      shift
      ;;
    --*) die "unknown option $1; see: kafka.sh help" ;;
    *)
      # everything after the class belongs to the tool
      if [[ $command == tool ]]; then
        arguments=("$@")
        break
      fi
      arguments+=("$1")
      shift
      ;;
  esac
done
[[ ! -d $dir ]] || dir=$(cd "$dir" && pwd)
case $command in
  start | jars) ;;
  *) [[ ! -f $dir/version ]] || version=$(<"$dir/version") ;;
esac
case $version in
  3) version=3.9.2 ;;
  4) version=4.3.1 ;;
esac
cache=${XDG_CACHE_HOME:-$HOME/.cache}/unbatch
jars=$cache/kafka-$version

# --- jars -------------------------------------------------------------------------------------------------------------

fetch_jars() {
  [[ ! -d $jars ]] || return 0
  command -v mvn >/dev/null || die "Maven (mvn) is needed once to fetch Kafka's jars; scripts/install-packages.sh test installs it"
  mkdir -p "$cache"
  local fresh
  fresh=$(mktemp -d "$cache/.kafka-XXXXXX")
  echo "kafka.sh: fetching Apache Kafka $version with Maven" >&2
  if ! mvn -q -B -Dstyle.color=never -f "$here/kafka/pom.xml" "-Dkafka.version=$version" "-Pkafka-${version%%.*}" \
    org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies \
    -DincludeScope=runtime "-DoutputDirectory=$fresh" >&2; then
    rm -rf "$fresh"
    die "Maven could not resolve Apache Kafka $version"
  fi
  chmod 755 "$fresh"
  # two runs may fetch at once: the rename lets one win, and the loser's copy goes
  mv -T "$fresh" "$jars" 2>/dev/null || rm -rf "$fresh"
}

need_java() {
  command -v java >/dev/null || die "a Java runtime (17 or newer) is needed; scripts/install-packages.sh test installs one"
}

# --- state folder -----------------------------------------------------------------------------------------------------

nodes() { find "$dir" -maxdepth 1 -name 'node-*' 2>/dev/null | sort; }

candidate=$((20000 + RANDOM % 10000))
free_port() { # sets REPLY; stays below the kernel's own ephemeral range, so nobody is handed the port meanwhile
  while :; do
    candidate=$((candidate >= 31999 ? 20000 : candidate + 1))
    (exec 3<>"/dev/tcp/127.0.0.1/$candidate") 2>/dev/null || break
  done
  REPLY=$candidate
}

logging_option() { # node folder; writes the logging settings and prints the Java option that names them
  if [[ $version == 3.* ]]; then
    cat >"$1/logging.properties" <<'TEXT'
log4j.rootLogger=INFO, out
log4j.appender.out=org.apache.log4j.ConsoleAppender
log4j.appender.out.layout=org.apache.log4j.PatternLayout
log4j.appender.out.layout.ConversionPattern=%d{ISO8601} %p %c{1} %m%n
TEXT
    echo "-Dlog4j.configuration=file:$1/logging.properties"
  else
    cat >"$1/logging.properties" <<'TEXT'
rootLogger.level=INFO
rootLogger.appenderRef.out.ref=out
appender.out.type=Console
appender.out.name=out
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=%d{ISO8601} %p %c{1} %m%n
TEXT
    echo "-Dlog4j2.configurationFile=$1/logging.properties"
  fi
}

sign() { # name, subject, authority, extra extension lines
  local at=$dir/tls/$1
  openssl req -newkey rsa:2048 -nodes -keyout "$at.key" -out "$at.csr" -subj "/CN=$2" 2>/dev/null
  openssl x509 -req -in "$at.csr" -CA "$dir/tls/$3.pem" -CAkey "$dir/tls/$3.key" -CAcreateserial -days 30 \
    -extfile <(printf '%s\n' "$4") -out "$at.pem" 2>/dev/null
  rm "$at.csr"
}

authority() { # name, subject
  openssl req -x509 -newkey rsa:2048 -nodes -keyout "$dir/tls/$1.key" -out "$dir/tls/$1.pem" -days 30 -subj "/CN=$2" \
    -addext 'basicConstraints=critical,CA:TRUE' -addext 'keyUsage=critical,keyCertSign' 2>/dev/null
}

make_certificates() {
  command -v openssl >/dev/null || die "openssl is needed for --secure"
  mkdir -p "$dir/tls"
  authority ca 'unbatch test authority'
  authority stranger-ca 'unbatch test stranger'
  sign server 127.0.0.1 ca 'subjectAltName=IP:127.0.0.1,DNS:localhost'
  sign client alice ca 'extendedKeyUsage=clientAuth'
  sign stranger mallory stranger-ca 'extendedKeyUsage=clientAuth'
  # Kafka reads key and chain from one PEM file
  cat "$dir/tls/server.key" "$dir/tls/server.pem" "$dir/tls/ca.pem" >"$dir/tls/server-keystore.pem"
}

secure_properties() { # ports of the four listeners are in the array `ports` from index $1
  local listener
  cat <<TEXT
ssl.keystore.type=PEM
ssl.keystore.location=$dir/tls/server-keystore.pem
ssl.truststore.type=PEM
ssl.truststore.location=$dir/tls/ca.pem
listener.name.mtls.ssl.client.auth=required
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512
TEXT
  for listener in sasl sasl_tls; do
    cat <<TEXT
listener.name.$listener.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_alice="alice-secret" user_bob="bob-secret";
listener.name.$listener.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.$listener.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
TEXT
  done
}

write_node() { # node number, quorum voters, then its ports: broker, controller and with --secure four more
  local number=$1 voters=$2 plain=127.0.0.1:$3 controller=127.0.0.1:$4 node=$dir/node-$1
  local replicas=$((brokers < 3 ? brokers : 3)) listeners map advertised
  listeners=PLAINTEXT://$plain
  map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
  if [[ $secure ]]; then
    listeners+=,TLS://127.0.0.1:$5,MTLS://127.0.0.1:$6,SASL://127.0.0.1:$7,SASL_TLS://127.0.0.1:$8
    map+=,TLS:SSL,MTLS:SSL,SASL:SASL_PLAINTEXT,SASL_TLS:SASL_SSL
  fi
  advertised=$listeners
  mkdir -p "$node"
  # the short session lets a killed broker register again in 3 s instead of 9
  cat >"$node/server.properties" <<TEXT
process.roles=broker,controller
node.id=$number
controller.quorum.voters=$voters
listeners=$listeners,CONTROLLER://$controller
advertised.listeners=$advertised
listener.security.protocol.map=$map
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
log.dirs=$node/data
auto.create.topics.enable=false
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
group.initial.rebalance.delay.ms=0
log.cleaner.dedupe.buffer.size=16777216
default.replication.factor=$replicas
min.insync.replicas=$((replicas > 1 ? replicas - 1 : 1))
offsets.topic.num.partitions=4
offsets.topic.replication.factor=$replicas
transaction.state.log.num.partitions=4
transaction.state.log.replication.factor=$replicas
transaction.state.log.min.isr=$((replicas > 1 ? replicas - 1 : 1))
transaction.abort.timed.out.transaction.cleanup.interval.ms=1000
TEXT
  [[ ! $secure ]] || secure_properties >>"$node/server.properties"
  printf '%s\n' ${properties[@]+"${properties[@]}"} >>"$node/server.properties"
}

format_node() { # node folder, cluster id
  local user mechanism scram=()
  if [[ $secure ]]; then
    for user in alice bob; do
      for mechanism in SCRAM-SHA-256 SCRAM-SHA-512; do
        scram+=(--add-scram "$mechanism=[name=$user,password=$user-secret]")
      done
    done
  fi
  java -XX:TieredStopAtLevel=1 "$(logging_option "$1")" -cp "$jars/*" kafka.tools.StorageTool format \
    -t "$2" -c "$1/server.properties" ${scram[@]+"${scram[@]}"} >"$1/format.log" 2>&1 || {
    tail -20 "$1/format.log" >&2
    die "formatting $1 failed"
  }
}

configure() {
  local number each=$((${#secure} ? 6 : 2)) voters= plain= tls= mtls= sasl= sasl_tls= cluster kept
  local -a ports=()
  for ((number = 0; number < each * brokers; number++)); do
    free_port
    ports+=("$REPLY")
  done
  for ((number = 1; number <= brokers; number++)); do
    kept=$((each * (number - 1)))
    plain+=,127.0.0.1:${ports[kept]}
    voters+=,$number@127.0.0.1:${ports[kept + 1]}
    [[ $secure ]] || continue
    tls+=,127.0.0.1:${ports[kept + 2]}
    mtls+=,127.0.0.1:${ports[kept + 3]}
    sasl+=,127.0.0.1:${ports[kept + 4]}
    sasl_tls+=,127.0.0.1:${ports[kept + 5]}
  done
  if [[ $secure ]]; then
    make_certificates
    printf '%s\n' "KAFKA_TLS=${tls#,}" "KAFKA_MTLS=${mtls#,}" "KAFKA_SASL=${sasl#,}" "KAFKA_SASL_TLS=${sasl_tls#,}" >"$dir/secure.env"
  fi
  # a cluster id is 16 bytes in URL-safe base64 that does not begin with a dash
  cluster=u$(head -c 16 /dev/urandom | base64 | tr '+/' 'AB' | head -c 21)
  for ((number = 1; number <= brokers; number++)); do
    write_node "$number" "${voters#,}" "${ports[@]:each*(number-1):each}"
    format_node "$dir/node-$number" "$cluster"
  done
  echo "$version" >"$dir/version"
  echo "$heap" >"$dir/heap"
  # last, since it says that the folder is complete
  echo "${plain#,}" >"$dir/bootstrap"
}

# --- processes --------------------------------------------------------------------------------------------------------

alive() { # node folder: is the process of its pid file this very broker, and not a later process with its number?
  [[ -f $1/pid ]] && tr '\0' ' ' 2>/dev/null <"/proc/$(<"$1/pid")/cmdline" | grep -qF "$1/server.properties"
}

launch() { # node folder
  ! alive "$1" || return 0
  : >"$1/log"
  rm -f "$1/pid"
  local option
  option=$(logging_option "$1")
  # its own session, so that Ctrl-C of a test run does not take the broker before the tests are done with it
  setsid bash -c 'echo $$ >"$0/pid"; exec "$@" >>"$0/log" 2>&1 </dev/null' "$1" \
    java "-Xmx$(<"$dir/heap")" -XX:+UseG1GC -XX:MaxGCPauseMillis=20 "$option" -cp "$jars/*" kafka.Kafka "$1/server.properties" \
    >/dev/null 2>&1 </dev/null &
}

await() { # node folder: until it serves
  local port
  port=$(sed -n 's/^advertised.listeners=PLAINTEXT:..127.0.0.1:\([0-9]*\).*/\1/p' "$1/server.properties")
  local until=$((SECONDS + 90))
  while ((SECONDS < until)); do
    # the log is cut at each launch, so the line belongs to this one
    if grep -q 'Kafka Server started' "$1/log" 2>/dev/null && (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
      return 0
    fi
    sleep 0.1
    if [[ -f $1/pid ]] && ! alive "$1"; then
      tail -20 "$1/log" >&2
      die "the broker of $1 ended"
    fi
  done
  tail -20 "$1/log" >&2
  die "no broker on port $port after 90 s"
}

stop_all() {
  local node until
  for node in $(nodes); do
    ! alive "$node" || kill "$(<"$node/pid")" 2>/dev/null || true
  done
  until=$((SECONDS + 20))
  for node in $(nodes); do
    while alive "$node" && ((SECONDS < until)); do sleep 0.1; done
    ! alive "$node" || kill -9 "$(<"$node/pid")" 2>/dev/null || true
    rm -f "$node/pid"
  done
}

watch_owner() { # cleans up after a test process that was itself killed
  setsid bash -c 'while kill -0 "$1" 2>/dev/null && [[ -d $2 ]]; do sleep 1; done; [[ ! -d $2 ]] || "$0" clean --dir "$2"' \
    "$here/kafka.sh" "$stop_with" "$dir" >/dev/null 2>&1 </dev/null &
}

node_of() { # argument of kill and up; sets REPLY
  [[ ${arguments[0]:-} =~ ^[0-9]+$ && -d $dir/node-${arguments[0]} ]] || die "$command needs the number of a broker in $dir"
  REPLY=$dir/node-${arguments[0]}
}

case $command in
  start)
    need_java
    mkdir -p "$dir"
    dir=$(cd "$dir" && pwd)
    [[ ! -f $dir/version || $(<"$dir/version") == "$version" ]] || die "$dir holds Kafka $(<"$dir/version"); clean it or use another --dir"
    fetch_jars
    [[ -f $dir/bootstrap ]] || configure
    for node in $(nodes); do launch "$node"; done
    [[ ! $stop_with ]] || watch_owner
    for node in $(nodes); do await "$node"; done
    cat "$dir/bootstrap"
    ;;
  stop) stop_all ;;
  status)
    [[ -f $dir/bootstrap ]] || die "no cluster in $dir"
    code=0
    for node in $(nodes); do
      state=down
      if alive "$node"; then state="up, pid $(<"$node/pid")"; else code=1; fi
      echo "${node##*/}: Apache Kafka $version, $state, $(sed -n 's/^advertised.listeners=//p' "$node/server.properties")"
    done
    exit $code
    ;;
  bootstrap)
    [[ -f $dir/bootstrap ]] || die "no cluster in $dir"
    cat "$dir/bootstrap"
    ;;
  kill)
    node_of
    alive "$REPLY" || die "broker ${arguments[0]} is not up"
    kill -9 "$(<"$REPLY/pid")"
    rm -f "$REPLY/pid"
    ;;
  up)
    need_java
    node_of
    launch "$REPLY"
    await "$REPLY"
    ;;
  clean)
    stop_all
    rm -rf "$dir"
    ;;
  jars)
    fetch_jars
    echo "$jars"
    ;;
  tool)
    need_java
    fetch_jars
    exec java -Xmx512m -cp "$jars/*" "${arguments[@]}"
    ;;
  help | --help | -h) usage ;;
  *)
    usage >&2
    exit 2
    ;;
esac
