#!/bin/bash
# provision.sh [CLONE]: make this Debian or Ubuntu machine ready for the workshop.
#
# Run as root, by `vagrant up` or by hand in any other virtual machine; run it
# again at any time, it only does what is missing. CLONE is where the clone lies
# (default: the one that holds this script, else ~vagrant/cooperage); whoever
# called sudo, else the owner of CLONE, gets Rust.
set -euo pipefail

say() { printf 'provision: %s\n' "$*"; }
fail() {
  printf 'provision: %s\n' "$*" >&2
  exit 1
}

[ "$(id -u)" = 0 ] || fail "installing packages needs root: sudo $0"
command -v apt-get >/dev/null || fail "no apt-get here: this script knows Debian and Ubuntu only"

# Vagrant copies the script to /tmp before it runs it, so its own place is only
# a hint where the clone lies.
beside=$(dirname "$(dirname "$(realpath "$0")")")
if [ -n "${1:-}" ]; then
  clone=$(realpath -e "$1")
elif [ -f "$beside/Cargo.toml" ]; then
  clone=$beside
else
  clone=/home/vagrant/cooperage
fi
[ -f "$clone/Cargo.toml" ] || fail "$clone/Cargo.toml: no such file; name the clone: $0 CLONE"
# A shared folder may show the host's user ids, so whoever called sudo comes first.
learner=${SUDO_USER:-$(stat -c %U "$clone")}
home=$(getent passwd "$learner" | cut -d: -f6) ||
  fail "$clone belongs to user id $(stat -c %u "$clone"), which has no account here; call this through sudo"

# A login shell, so that what /etc/profile.d sets is set.
as_learner() { runuser --login "$learner" --command "$1"; }

packages_installed() { dpkg-query --show --showformat='${db:Status-Status}\n' "$@" 2>/dev/null | grep -cx installed; }

install_packages() {
  [ "$(packages_installed "$@")" = $# ] && return
  say "installing $*"
  apt-get update --quiet=2
  DEBIAN_FRONTEND=noninteractive apt-get install --quiet=2 --yes --no-install-recommends "$@" >/dev/null
}

# gcc: Rust links with it. busybox-static: the containers' programs. util-linux:
# unshare, nsenter and lsns for the parts that are done by hand. uidmap: an
# ordinary user's id maps.
install_packages busybox-static ca-certificates curl gcc git iproute2 libc6-dev nftables uidmap util-linux

wanted=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' "$clone/Cargo.toml")
at_least() { printf '%s\n%s\n' "$2" "$1" | sort --version-sort --check=quiet; } # at_least HAVE WANTED
learners_rust() { as_learner 'rustc --version' 2>/dev/null | cut -d' ' -f2; }
candidate() { apt-cache policy "$1" | sed -n 's/^ *Candidate: \([0-9][^+~-]*\).*/\1/p'; }

install_rust() {
  local have
  have=$(learners_rust || true)
  if [ -n "$have" ] && at_least "$have" "$wanted"; then
    return
  fi
  say "installing Rust $wanted or newer for $learner"
  if at_least "$(candidate rustc)" "$wanted"; then
    install_packages cargo rustc
  elif [ -n "$(candidate rustup)" ]; then
    install_packages rustup
    as_learner 'rustup set profile minimal && rustup default stable'
  else
    as_learner 'curl --proto =https --tlsv1.2 --silent --show-error --fail https://sh.rustup.rs | sh -s -- -y --quiet --profile minimal'
  fi
  have=$(learners_rust || true)
  at_least "${have:-0}" "$wanted" || fail "rustc is ${have:-missing}, the workshop needs $wanted"
}

# What is built stays in the machine: a shared folder may be slow, may not know
# Unix modes, and may hold what another system has built. A clone that lies on
# the machine's own disk (the default, rsync, puts it there) needs nothing.
keep_target_inside() {
  local setting=/etc/profile.d/cooperage.sh
  if [ "$(stat -c %d "$clone")" = "$(stat -c %d "$home")" ]; then
    rm -f "$setting"
  else
    # shellcheck disable=SC2016 # the shell that logs in expands it
    echo 'export CARGO_TARGET_DIR="$HOME/.cache/cooperage/target"' >"$setting"
  fi
}

# Ubuntu since 23.10 lets ordinary users make user namespaces only in programs
# that an AppArmor profile names. A workshop's own programs are named nowhere.
allow_user_namespaces() {
  local knob=/proc/sys/kernel/apparmor_restrict_unprivileged_userns
  [ -e "$knob" ] || return 0
  mkdir -p /etc/sysctl.d
  printf 'kernel.apparmor_restrict_unprivileged_userns = 0\n' >/etc/sysctl.d/60-cooperage.conf
  echo 0 >"$knob"
}

install_rust
keep_target_inside
allow_user_namespaces
say "ready; building the workshop's own command, which takes a while the first time"
as_learner "cd '$clone' && cargo workshop doctor"
