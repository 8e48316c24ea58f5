#!/usr/bin/env bash
# Installs the libraries that `make bench` compares with into the directory $1. Without Node.js, npm
# or a network it says so, and they are not measured.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
  echo "bench: Node.js or npm is missing, so no library is compared with" >&2
  exit 0
fi
mkdir -p "$1"
cp "$here/merge.mjs" "$here/package.json" "$here/package-lock.json" "$1"
cd "$1"
if cmp -s package-lock.json installed.json; then exit 0; fi
if npm ci --omit=dev --no-audit --no-fund --loglevel=error >&2; then
  cp package-lock.json installed.json
else
  rm -rf node_modules
  echo "bench: npm could not install the libraries, so none is compared with" >&2
fi
