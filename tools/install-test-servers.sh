#!/bin/sh
# Installs the programs that the tests drive (browser, strace, PostgreSQL, Java for Spark, the vendors' clients for
# Node.js) where one is missing and we may. Without one its tests are skipped and say why.
set -u
cd "$(dirname "$0")/.."
clients=tests/clients/node
if command -v npm >/dev/null 2>&1 && ! cmp -s $clients/package-lock.json $clients/node_modules/.installed; then
  (cd $clients && npm ci --silent && cp package-lock.json node_modules/.installed) ||
    echo "The vendors' clients for Node.js could not be installed. Tests that need them will be skipped"
fi
missing=
for program in chromium strace; do
  command -v "$program" >/dev/null 2>&1 || missing="$missing $program"
done
# Debian keeps PostgreSQL's programs out of the PATH.
command -v postgres >/dev/null 2>&1 || ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || missing="$missing postgresql"
command -v java >/dev/null 2>&1 || missing="$missing openjdk-17-jre-headless"
[ -z "$missing" ] && exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
  echo "Not installed and cannot be (not root, or no apt):$missing. Tests that need them will be skipped"
  exit 0
fi
echo "Installing for the tests:$missing"
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086
{ apt-get update -qq && apt-get install -y -qq --no-install-recommends $missing; } >/dev/null 2>&1 ||
  echo "Could not be installed:$missing. Tests that need them will be skipped"
exit 0
