# The manner of all scripts here; each sources this file. Variables say what is wanted. DRY_RUN=1
# asks nothing, calls nothing, and prints each command on a line of its own; YES=1 answers what is
# asked before something costs money or is deleted.
# shellcheck shell=bash
set -euo pipefail

# The lines at the top of the script that runs are its help.
if [[ ${1:-} == --help ]]; then
  sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"
  exit
fi
cd "$(dirname "${BASH_SOURCE[0]}")/.."

fail() {
  echo "$1 See $0 --help." >&2
  exit 2
}

# need NAME…: variables that have no default.
need() {
  local name
  for name; do [[ ${!name:-} ]] || fail "$name is not set."; done
}

is_dry() { [[ ${DRY_RUN:-0} != 0 ]]; }

# show COMMAND…: on one line, as a shell would read it again.
show() {
  local line=$1 word quote="'\\''"
  shift
  for word; do
    [[ $word =~ ^[A-Za-z0-9_./:=,@%+-]+$ ]] || word="'${word//\'/$quote}'"
    line+=" $word"
  done
  printf '%s\n' "$line"
}

# run COMMAND…: what changes something.
run() {
  if is_dry; then show "$@"; else
    show "$@" >&2
    "$@"
  fi
}

# ask COMMAND…: what it prints is left in `answer`; a dry run knows none.
ask() {
  answer=''
  # shellcheck disable=SC2034
  if is_dry; then show "$@"; else answer=$("$@"); fi
}

# has COMMAND… || run …: where the command finds something, nothing is made. To a dry run nothing is
# there yet.
has() {
  if is_dry; then show "$@" && return 1; fi
  "$@" >/dev/null 2>&1
}

# lacks COMMAND… || run …: where it finds nothing, nothing is deleted. To a dry run all is there.
lacks() {
  if is_dry; then show "$@" && return 1; fi
  ! "$@" >/dev/null 2>&1
}

# confirm TEXT: goes on only if somebody says so.
confirm() {
  local reply=''
  if is_dry || [[ ${YES:-0} == 1 ]]; then return; fi
  [[ -t 0 ]] || fail "$1 Nobody can be asked here: set YES=1."
  read -r -p "$1 Go on? [y/N] " reply
  [[ $reply == [yY]* ]] || exit 1
}
