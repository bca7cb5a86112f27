# Shared by deploy/quickstart, tests/run and tests/bench: messages, places, how many compilers fit, a private PostgreSQL,
# processes.
# Sourced by bash, never run. The caller sets `root` (the checkout) and `me` (its own name, for messages).

# One clear sentence, and the end.
fail() {
  printf '%s: %s\n' "$me" "$*" >&2
  exit 1
}

# Where the release preset builds: BATCHD_BUILD_DIR, else build/release, else (a checkout we may not write) the user's cache.
build_dir() {
  if [ -n "${BATCHD_BUILD_DIR:-}" ]; then
    printf '%s\n' "$BATCHD_BUILD_DIR"
  elif mkdir -p "$root/build/release" 2>/dev/null && [ -w "$root/build/release" ]; then
    printf '%s\n' "$root/build/release"
  else
    printf '%s/batchd/%s\n' "${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}" "$(printf '%s' "$root" | cksum | cut -d' ' -f1)"
  fi
}

# Parallel compilers: one a core, as long as each has 1.5 GiB; BATCHD_JOBS overrides.
build_jobs() {
  local cores memory
  cores=$(nproc)
  memory=$(awk '/^MemAvailable:/ { print int($2 / 1572864) }' /proc/meminfo)
  [ "${memory:-1}" -ge 1 ] || memory=1
  printf '%s\n' "${BATCHD_JOBS:-$((cores < memory ? cores : memory))}"
}

# need_space DIR MEGABYTES: stops here rather than in the middle of a build. DIR need not exist yet.
need_space() {
  local dir=$1 free
  while [ ! -d "$dir" ]; do dir=$(dirname "$dir"); done
  free=$(df -Pk "$dir" | awk 'NR == 2 { print int($4 / 1024) }')
  [ "$free" -ge "$2" ] || fail "$dir has $free MB free and $2 MB are needed: make room, then run this again."
}

# configure_build DIR: once; afterwards CMake notices by itself what changed.
configure_build() {
  [ -f "$1/build.ninja" ] || cmake -S "$root" --preset release -B "$1"
}

# The newest clang++ that has libFuzzer, nothing when there is none. From 17 on: older ones cannot compile libstdc++'s
# coroutines, and Debian 12's own clang is 14.
fuzz_compiler() {
  local library version
  for library in $(printf '%s\n' /usr/lib/llvm-*/lib/clang/*/lib/*/libclang_rt.fuzzer[-.]*a | sort -rV); do
    version=${library#/usr/lib/llvm-}
    version=${version%%/*}
    case "$library" in *-*-i386.a | *"*"*) continue ;; esac
    [ "$version" -ge 17 ] && [ -x "/usr/lib/llvm-$version/bin/clang++" ] || continue
    printf '%s\n' "/usr/lib/llvm-$version/bin/clang++"
    return
  done
}

# A private PostgreSQL: a cluster of its own in a directory of its own, on a unix socket only. -----------------------------

# initdb and postgres refuse root: they run as the packaged user, or as nobody. From /, which everyone may enter.
pg_run() (
  cd /
  if [ "$(id -u)" -ne 0 ]; then
    "$@"
  else
    setpriv --reuid="$(pg_user)" --regid="$(id -g "$(pg_user)")" --clear-groups -- "$@"
  fi
)

pg_user() {
  if [ "$(id -u)" -ne 0 ]; then id -un; elif id -u postgres >/dev/null 2>&1; then echo postgres; else echo nobody; fi
}

# The programs of the newest PostgreSQL installed.
pg_bin() {
  local dir
  dir=$(printf '%s\n' /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
  [ -x "$dir/initdb" ] || fail "PostgreSQL's server programs are not installed (looked for /usr/lib/postgresql/*/bin/initdb)."
  printf '%s\n' "$dir"
}

# pg_start DIR [settings]: makes and starts a cluster in DIR/data with its socket in DIR. DIR is short (a socket's path has
# 107 bytes) and closed to other users, which is why `trust` is enough. Superuser: batchd; database: batchd.
# Each step says `|| return`, because `set -e` sleeps inside a function whose failure the caller handles.
pg_start() {
  local dir=$1
  shift
  if [ "$(id -u)" -eq 0 ]; then chown "root:$(id -g "$(pg_user)")" "$dir" || return 1; fi
  chmod 0770 "$dir" || return 1
  pg_run "$(pg_bin)/initdb" -D "$dir/data" -U batchd --auth=trust --encoding=UTF8 --locale=C --no-sync || return 1
  printf '%s\n' "listen_addresses = ''" "unix_socket_directories = '$dir'" "max_connections = 60" "$@" |
    pg_run tee -a "$dir/data/postgresql.conf" >/dev/null || return 1
  pg_run "$(pg_bin)/pg_ctl" -D "$dir/data" -l "$dir/data/server.log" -w start </dev/null || {
    tail -n 20 "$dir/data/server.log"
    return 1
  }
  psql -X -q -h "$dir" -U batchd -d postgres -c 'CREATE DATABASE batchd'
}

pg_stop() {
  [ ! -f "$1/data/postmaster.pid" ] || pg_run "$(pg_bin)/pg_ctl" -D "$1/data" -m fast -w stop
}

# Processes and ports ---------------------------------------------------------------------------------------------------

# stop_process PID: asks, waits, insists.
stop_process() {
  [ -n "$1" ] || return 0
  kill -TERM "$1" 2>/dev/null || return 0
  for _ in $(seq 150); do
    kill -0 "$1" 2>/dev/null || return 0
    sleep 0.1
  done
  kill -KILL "$1" 2>/dev/null || true
}

# free_port FIRST: the first port from there on that nobody listens on.
free_port() {
  local port=$1
  while (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do port=$((port + 1)); done
  printf '%s\n' "$port"
}

# http_ok HOST:PORT PATH: a GET is answered with 200.
http_ok() {
  local answer=""
  { exec 3<>"/dev/tcp/${1%:*}/${1#*:}" && printf 'GET %s HTTP/1.1\r\nHost: batchd\r\nConnection: close\r\n\r\n' "$2" >&3 &&
    read -r -t 5 answer <&3; } 2>/dev/null || true
  { exec 3>&-; } 2>/dev/null || true
  case "$answer" in "HTTP/1.1 200"*) return 0 ;; *) return 1 ;; esac
}
