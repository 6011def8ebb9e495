#!/usr/bin/env bash
# Installs the system packages that are missing, and nothing when none is.
#
#   scripts/install-packages.sh build   what compiling unbatch needs
#   scripts/install-packages.sh test    that, and what the tests run against: a Java runtime and Maven (Apache Kafka), openssl, python3,
#                                       Node and npm (the YAML language server)
#
# Debian and its relatives only (apt). Elsewhere, or without root and sudo, it prints what is missing and exits with 1.
set -euo pipefail

usage() {
  sed -n '2,8s/^# \{0,1\}//p' "$0"
}

have() { command -v "$1" >/dev/null 2>&1; }

# A library counts by its headers, so that a system with other package names is not asked to install it again.
have_library() { # name for pkg-config, Debian package
  { have pkg-config && pkg-config --exists "$1"; } || { have dpkg && dpkg -s "$2" >/dev/null 2>&1; }
}

java_version() { # major version of the Java on the path; 0 when there is none or it does not run
  { java -version 2>&1 || true; } | awk -F'"' '/version/ {
    split($2, part, "."); print part[1] == 1 ? part[2] : part[1]; found = 1; exit
  } END { if (!found) print 0 }'
}

# The package that has a Java of at least 17; which name exists depends on the release.
java_package() {
  local name
  for name in openjdk-17-jre-headless openjdk-21-jre-headless default-jre-headless; do
    if have apt-cache && apt-cache show "$name" >/dev/null 2>&1; then
      echo "$name"
      return
    fi
  done
  echo default-jre-headless
}

missing_for_build() {
  local tool
  for tool in gcc g++ make cmake pkg-config git; do
    have "$tool" || echo "$tool"
  done
  have_library zlib zlib1g-dev || echo zlib1g-dev
  have_library openssl libssl-dev || echo libssl-dev
  # only its headers: librdkafka includes them even when it is built without it
  have_library libcurl libcurl4-openssl-dev || echo libcurl4-openssl-dev
  [[ -e /etc/ssl/certs/ca-certificates.crt || -d /etc/pki/tls/certs || -e /etc/ssl/cert.pem ]] || echo ca-certificates
}

missing_for_test() {
  missing_for_build
  (($(java_version) >= 17)) || java_package
  have mvn || echo maven
  have openssl || echo openssl
  have python3 || echo python3
  have node || echo nodejs
  have npm || echo npm
}

as_root() {
  if ((EUID == 0)); then "$@"; else sudo "$@"; fi
}

case ${1:-} in
  build | test) ;;
  help | --help | -h)
    usage
    exit 0
    ;;
  *)
    usage >&2
    exit 2
    ;;
esac

if ! have cargo; then
  echo "cargo is missing: install Rust 1.95 or newer (rustup, or your system's package), then try again" >&2
  exit 1
fi

mapfile -t missing < <("missing_for_$1")
((${#missing[@]})) || exit 0

if ! have apt-get || { ((EUID != 0)) && ! have sudo; }; then
  {
    echo "missing for '$1' (names as in Debian): ${missing[*]}"
    echo "please install them: this script can only do it with apt, as root or with sudo"
  } >&2
  exit 1
fi

echo "installing: ${missing[*]}" >&2
export DEBIAN_FRONTEND=noninteractive
as_root apt-get -qq update >&2
# asked again: before the update the name of the Java package could not be known
mapfile -t missing < <("missing_for_$1")
as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "${missing[@]}" >&2

mapfile -t missing < <("missing_for_$1")
if ((${#missing[@]})); then
  echo "still missing after the installation: ${missing[*]}" >&2
  exit 1
fi
