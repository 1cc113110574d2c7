# shellcheck shell=bash
# What .ci/run and .ci/full share. Sourced, not run.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# Nothing here may wait for a person.
exec </dev/null
export DEBIAN_FRONTEND=noninteractive
# Everything is built once: incremental builds would only fill the disk, by half as much again.
export CARGO_INCREMENTAL=0
export CARGO_TERM_COLOR=${CARGO_TERM_COLOR:-never}
# BIRD is in /usr/sbin, where users do not search.
export PATH="${CARGO_HOME:-$HOME/.cargo}/bin:$PATH:/usr/sbin"

STEPS=()

# wait_for WHAT COMMAND...: for 20 s at most. `fail` is the script's own.
wait_for() {
  local what=$1
  shift
  for _ in {1..200}; do
    "$@" && return
    sleep 0.1
  done
  fail "$what"
}

# step NAME COMMAND...: runs the command, tells how long it took, ends everything when it fails.
step() {
  local name=$1 start=$SECONDS status=0
  shift
  printf '\n=== %s\n' "$name"
  # A subshell keeps `set -e` in force inside the function that is called, which `||` would not.
  set +e
  (set -e; "$@")
  status=$?
  set -e
  STEPS+=("$(printf '%6ds  %s' $((SECONDS - start)) "$name")")
  if ((status != 0)); then
    STEPS[-1]+="  FAILED (status $status)"
    exit "$status"
  fi
}

summary() {
  local status=$?
  printf '\n'
  ((${#STEPS[@]} == 0)) || printf '%s\n' "${STEPS[@]}"
  if ((status == 0)); then echo "all passed in ${SECONDS}s"; else echo "FAILED in ${SECONDS}s"; fi
}
trap summary EXIT

# need PROGRAM PACKAGE: installs the Debian package when the program is missing.
need() {
  command -v "$1" >/dev/null && return
  install_package "$2"
  command -v "$1" >/dev/null
}

install_package() {
  local sudo=()
  ((EUID == 0)) || sudo=(sudo)
  "${sudo[@]}" apt-get update -q
  "${sudo[@]}" apt-get install -qy --no-install-recommends "$1"
}

# python_tool DIR PACKAGE==VERSION: installs the package from PyPI into a virtual environment in DIR.
python_tool() {
  need python3 python3
  python3 -c 'import ensurepip' 2>/dev/null || install_package python3-venv
  python3 -m venv "$1"
  "$1/bin/pip" install --quiet "$2"
}
