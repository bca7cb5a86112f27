#!/usr/bin/env bash
# Proves the README's two commands on a bare machine: makes a fresh Debian root with debootstrap, clones this checkout's
# HEAD into it and runs, inside, ./deploy/quickstart twice and ./tests/run twice. A long run, not part of ctest.
#   tests/scripts/bare_machine.sh [bookworm|trixie] [--user] [--unit] [--root DIR]
#     --user      as a user with sudo, from a checkout that belongs to root, instead of as root
#     --unit      only build, and run the unit tests
#     --root DIR  use this root, made if it is not there, and leave it; otherwise a temporary one is made and removed
# Needs root, debootstrap, git, a mirror that apt on this machine already uses, and an npm registry (tests/official).
set -euo pipefail
me=bare_machine.sh
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
. "$root/deploy/common.sh"

suite=bookworm
as_user=""
unit_only=""
place=""
while [ $# -gt 0 ]; do
  case "$1" in
    bookworm | trixie) suite=$1 ;;
    --user) as_user=1 ;;
    --unit) unit_only=1 ;;
    --root)
      [ $# -ge 2 ] || fail "--root wants a directory"
      place=$2
      shift ;;
    *) fail "unknown argument '$1'; see the head of this file" ;;
  esac
  shift
done

[ "$(id -u)" -eq 0 ] || fail "making a root file system needs root."
command -v debootstrap >/dev/null || fail "debootstrap is missing: apt-get install debootstrap"
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
[ -f "$keyring" ] || fail "$keyring is missing: apt-get install debian-archive-keyring"

temporary=""
if [ -z "$place" ]; then
  place=$(mktemp -d /var/tmp/batchd-bare.XXXXXX)
  temporary=1
fi
need_space "$place" 6000

inhabitants() {  # the processes whose root is ours
  local process
  for process in /proc/[0-9]*; do
    [ "$(readlink "$process/root" 2>/dev/null)" != "$place" ] || basename "$process"
  done
}

clean_up() {
  local mount
  # shellcheck disable=SC2046
  kill -KILL $(inhabitants) 2>/dev/null || true
  for mount in dev/shm dev/pts proc; do
    ! mountpoint -q "$place/$mount" || umount -l "$place/$mount"
  done
  # A mount that is still there must never be removed from.
  if [ -n "$temporary" ] && ! grep -q " $place/" /proc/mounts; then rm -rf --one-file-system "$place"; fi
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

mkdir -p "$place"
chmod 0755 "$place"  # it becomes the / of users who are not root
if [ ! -x "$place/bin/bash" ]; then
  mirror=$(apt-get indextargets --format '$(REPO_URI)' 2>/dev/null | grep -E '/debian/?$' | head -n 1 || true)
  echo "== making a bare $suite root"
  # shellcheck disable=SC2086
  debootstrap --variant=minbase --keyring="$keyring" "$suite" "$place" $mirror >"$place.log" 2>&1 ||
    { tail -n 20 "$place.log" >&2; fail "debootstrap failed, see above"; }
  rm -f "$place.log"
  cp /etc/resolv.conf "$place/etc/resolv.conf"
  # What apt needs on this machine to reach its mirror (proxies, dates of a snapshot); nothing else is taken over.
  apt-config dump | grep -E '^Acquire::(Check|http|https|Retries|ForceIPv)' >"$place/etc/apt/apt.conf.d/90host" || true
  # And the certificates it trusts beyond Debian's, which npm may need on the way to its registry.
  mkdir -p "$place/usr/local/share/ca-certificates"
  find /usr/local/share/ca-certificates -name '*.crt' -exec cp {} "$place/usr/local/share/ca-certificates/" \; 2>/dev/null || true
fi

mount -t proc proc "$place/proc"
mount -t devpts devpts "$place/dev/pts" 2>/dev/null || true
mkdir -p "$place/dev/shm"
mount -t tmpfs tmpfs "$place/dev/shm"

inside() {  # inside COMMAND: as root, with an empty environment
  env -i HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 CI=true \
    chroot "$place" /bin/bash -c "$1" </dev/null
}

rm -rf "$place/opt/batchd.new"
git clone -q "$root" "$place/opt/batchd.new"
if [ -d "$place/opt/batchd/build" ]; then mv "$place/opt/batchd/build" "$place/opt/batchd.new/build"; fi
rm -rf "$place/opt/batchd"
mv "$place/opt/batchd.new" "$place/opt/batchd"
echo "== $(git -C "$root" log -1 --format='%h %s')"

prefix=""
if [ -n "$as_user" ]; then
  inside "command -v sudo >/dev/null || { apt-get -qq update && apt-get -qq -y install sudo >/dev/null 2>&1; }
          id someone >/dev/null 2>&1 || useradd -m someone
          echo 'someone ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/someone"
  prefix="setpriv --reuid=someone --regid=someone --init-groups env HOME=/home/someone USER=someone "
fi

run() {  # run NAME COMMAND: must end 0 and leave nothing running
  local started=$SECONDS left
  echo "== $1"
  inside "cd / && $prefix$2" || fail "$1 ended with $?"
  left=$(inhabitants)
  [ -z "$left" ] || fail "$1 left processes running: $left"
  echo "== $1: ended 0 after $((SECONDS - started)) s"
}

if [ -n "$unit_only" ]; then
  run "tests/run --label unit" "/opt/batchd/tests/run --label unit"
else
  run "quickstart" "/opt/batchd/deploy/quickstart"
  run "quickstart again" "/opt/batchd/deploy/quickstart"
  run "tests/run" "/opt/batchd/tests/run"
  run "tests/run again" "/opt/batchd/tests/run"
fi
echo "== $suite: all ended 0"
