#!/bin/sh
# Makes the environment $1 and installs the pinned requirements of group $2 and Mailwright itself into it.
# Works with Python 3.11 and pip alone: Debian's Python comes without ensurepip, so venv may have to do without it.
set -eu
venv=$1
group=$2
python=${PYTHON:-python3}

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
  echo "Mailwright needs Python 3.11 or newer; $python is $("$python" --version 2>&1). Name another: make PYTHON=python3.11 ..." >&2
  exit 1
}

if [ ! -x "$venv/bin/python" ] || ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
  echo "Making $venv"
  rm -rf "$venv"
  if "$python" -c 'import ensurepip' 2>/dev/null; then
    "$python" -m venv "$venv"
  else
    "$python" -m venv --without-pip "$venv"
    "$python" -m pip --python "$venv/bin/python" install --quiet pip || {
      echo "There is neither ensurepip nor pip for $python: install one (Debian: apt install python3-venv)" >&2
      exit 1
    }
  fi
fi

echo "Installing the pinned requirements ($group); the first time takes a minute or two"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r "requirements/$group.txt"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps -e .
