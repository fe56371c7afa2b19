#!/bin/bash
# provision.sh [CLONE]: make this Debian or Ubuntu machine ready for the workshop.
#
# Run as root, by `vagrant up` or by hand in any other virtual machine; run it
# again at any time, it only does what is missing. CLONE is where the clone lies
# (default: the one that holds this script, else ~vagrant/cooperage); whoever
# called sudo, else the owner of CLONE, gets Rust and control groups of his own.
# `provision.sh --packages` prints which packages it installs.
set -euo pipefail

# gcc: Rust links with it. busybox-static: the containers' programs. util-linux:
# unshare, nsenter and lsns for the parts that are done by hand. uidmap: an
# ordinary user's id maps.
packages=(busybox-static ca-certificates curl gcc git iproute2 jq libc6-dev nftables uidmap util-linux)
if [ "${1:-}" = --packages ]; then
  printf '%s\n' "${packages[@]}"
  exit
fi

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

# Writes what comes in to a file, unless that is there already. The status says
# whether anything was written.
put() {
  local file=$1 content
  content=$(cat)
  [ "$(cat "$file" 2>/dev/null)" != "$content" ] || return 1
  mkdir -p "$(dirname "$file")"
  printf '%s\n' "$content" >"$file"
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
    put "$setting" <<<'export CARGO_TARGET_DIR="$HOME/.cache/cooperage/target"' || true
  fi
}

# Ubuntu since 23.10 lets ordinary users make user namespaces only in programs
# that an AppArmor profile names. A workshop's own programs are named nowhere.
allow_user_namespaces() {
  local knob=/proc/sys/kernel/apparmor_restrict_unprivileged_userns
  [ -e "$knob" ] || return 0
  put /etc/sysctl.d/60-cooperage.conf <<<'kernel.apparmor_restrict_unprivileged_userns = 0' || true
  echo 0 >"$knob"
}

# Limits are set by making control groups, and systemd owns the tree of groups:
# on version 2 it hands a part of it to a user who asks (systemd.resource-control(5),
# Delegate=). Here every login of an ordinary user asks, so that nobody has to
# think of it; and the user's part outlives his logins, so that a container does.
delegate_control_groups() {
  local manager
  [ "$learner" != root ] && [ -d /run/systemd/system ] && [ -f /sys/fs/cgroup/cgroup.controllers ] || return 0
  install_packages dbus-user-session
  manager=user@$(id -u "$learner").service
  if put /etc/systemd/system/user@.service.d/cooperage.conf <<<$'[Service]\nDelegate=cpu cpuset io memory pids'; then
    systemctl daemon-reload
    systemctl try-restart "$manager"
  fi
  if [ ! -e "/var/lib/systemd/linger/$learner" ]; then loginctl enable-linger "$learner"; fi
  systemctl start "$manager"
  put /etc/profile.d/cooperage-groups.sh <<'END' || true
# Moves the shell that logs in into a control group that belongs to its user, and
# from there into a child: a group that hands controllers down holds no process
# itself (cgroups(7)). Where that cannot be had, nothing happens: `cargo workshop
# doctor` says so. Written by the workshop's provision.sh.
cooperage_groups() {
  local group controller
  [ "$(id -u)" != 0 ] && [ -f /sys/fs/cgroup/cgroup.controllers ] || return 0
  group=/sys/fs/cgroup$(sed -n 's/^0:://p' /proc/self/cgroup)
  [ ! -w "$group/cgroup.procs" ] || return 0
  XDG_RUNTIME_DIR=${XDG_RUNTIME_DIR:-/run/user/$(id -u)} busctl --user --quiet call \
    org.freedesktop.systemd1 /org/freedesktop/systemd1 org.freedesktop.systemd1.Manager \
    StartTransientUnit 'ssa(sv)a(sa(sv))' "cooperage-$$-$(date +%s).scope" fail \
    2 PIDs au 1 $$ Delegate b true 0 2>/dev/null || return 0
  for _ in 1 2 3 4 5 6 7 8 9 10; do # the move comes a moment after the answer
    group=/sys/fs/cgroup$(sed -n 's/^0:://p' /proc/self/cgroup)
    [ ! -w "$group/cgroup.procs" ] || break
    sleep 0.1
  done
  [ -w "$group/cgroup.procs" ] && mkdir "$group/shell" && echo $$ >"$group/shell/cgroup.procs" || return 0
  for controller in cpu io memory pids; do
    echo "+$controller" 2>/dev/null >"$group/cgroup.subtree_control" || true
  done
}
cooperage_groups
unset -f cooperage_groups
END
}

install_packages "${packages[@]}"
install_rust
keep_target_inside
allow_user_namespaces
delegate_control_groups
say "ready; building the workshop's own command, which takes a while the first time"
as_learner "cd ${clone@Q} && cargo workshop doctor"
