#!/bin/sh
# Pins every dependency with its hashes: requirements/run.txt (the program), demo.txt (and the demo), dev.txt (all).
set -eu
cd "$(dirname "$0")/.."
flags="--quiet --generate-hashes --strip-extras --allow-unsafe --no-header --no-annotate --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --no-emit-options"
for name in run demo dev; do
  case $name in run) extras= ;; demo) extras="--extra demo" ;; dev) extras="--extra demo --extra dev" ;; esac
  # shellcheck disable=SC2086
  .venv/bin/pip-compile $flags $extras --output-file "requirements/$name.txt" pyproject.toml "$@"
done
