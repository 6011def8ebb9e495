#!/usr/bin/env bash
# The YAML language server that editors use, for the test of the editor help. Prints the path of its program.
#
#   scripts/yaml-language-server.sh     fetches it with npm when the user's cache folder does not have it yet
#
# Its version and those of what it needs are pinned in scripts/yaml-language-server. It is kept in
# ${XDG_CACHE_HOME:-$HOME/.cache}/unbatch.
set -euo pipefail

die() {
  echo "yaml-language-server.sh: $*" >&2
  exit 1
}

(($# == 0)) || die "it takes no arguments"
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
version=$(sed -n 's/.*"yaml-language-server": "\([0-9.]*\)".*/\1/p' "$here/yaml-language-server/package.json")
cache=${XDG_CACHE_HOME:-$HOME/.cache}/unbatch
folder=$cache/yaml-language-server-$version
program=$folder/node_modules/yaml-language-server/bin/yaml-language-server

command -v node >/dev/null || die "Node is needed; scripts/install-packages.sh test installs it"
if [[ ! -e $program ]]; then
  command -v npm >/dev/null || die "npm is needed once to fetch it; scripts/install-packages.sh test installs it"
  mkdir -p "$cache"
  fresh=$(mktemp -d "$cache/.yaml-language-server-XXXXXX")
  trap 'rm -rf "$fresh"' EXIT
  cp "$here"/yaml-language-server/package*.json "$fresh/"
  echo "yaml-language-server.sh: fetching the YAML language server $version with npm" >&2
  (cd "$fresh" && npm ci --silent --ignore-scripts --no-audit --no-fund >&2) || die "npm could not fetch it"
  # another run may have been quicker
  mv -T "$fresh" "$folder" 2>/dev/null || [[ -e $program ]] || die "it cannot be moved to $folder"
fi
echo "$program"
