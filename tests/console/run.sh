#!/usr/bin/env bash
# The console in a real browser against a real server: starts `atoll up` on a free port with a
# directory of its own, applies an application, drives the pages, and stops everything it started.
#
#   tests/console/run.sh PATH-OF-ATOLL
set -euo pipefail
program=$(realpath "$1")
here=$(cd "$(dirname "$0")/../.." && pwd)
dir=$(mktemp -d)
export XDG_CONFIG_HOME="$dir/config" HOME="$dir"
unset ATOLL_SERVER ATOLL_TOKEN

"$program" up --data "$dir/data" --listen 127.0.0.1:0 --name local >"$dir/out" 2>"$dir/err" &
up=$!
finish() {
  "$program" delete application/shop >/dev/null 2>&1 || true
  for _ in $(seq 100); do
    [ -z "$("$program" get instances -o name 2>/dev/null)" ] && break
    sleep 0.1
  done
  kill "$up" 2>/dev/null || true
  wait "$up" 2>/dev/null || true
  rm -rf "$dir"
}
trap finish EXIT

for _ in $(seq 200); do
  url=$(awk '$1 == "console" { print $2 }' "$dir/out")
  [ -n "$url" ] && break
  kill -0 "$up" || { cat "$dir/err"; exit 1; }
  sleep 0.1
done
[ -n "$url" ] || { echo "the server did not say where it serves"; exit 1; }

sed "s|PROGRAM|$program|" "$here/tests/console/shop.yaml" >"$dir/shop.yaml"
"$program" apply -f "$dir/shop.yaml" --wait --timeout 60s
ATOLL_URL="$url" node "$here/console/tests/browser.mjs"
