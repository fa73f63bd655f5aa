#!/bin/sh
# Installs the browser that the tests drive, where it is missing and we may. Without it those tests are skipped and
# say why.
set -u
command -v chromium >/dev/null 2>&1 && exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
  echo "Chromium is not installed and cannot be (not root, or no apt): browser tests will be skipped"
  exit 0
fi
echo "Installing Chromium for the browser tests"
export DEBIAN_FRONTEND=noninteractive
{ apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium; } >/dev/null 2>&1 ||
  echo "Chromium could not be installed: browser tests will be skipped"
exit 0
