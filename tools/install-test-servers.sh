#!/bin/sh
# Installs the programs that the tests drive, the browser and strace, where one is missing and we may. Without one its
# tests are skipped and say why.
set -u
missing=
for program in chromium strace; do
  command -v "$program" >/dev/null 2>&1 || missing="$missing $program"
done
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
