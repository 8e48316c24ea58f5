#!/usr/bin/env bash
# Installs what Troupe needs and builds it, on a machine that may have nothing but a shell.
# `./setup.sh --help` says how.
#
# Environment:
#   TROUPE_CACHE   where CAF is kept (default: ${XDG_CACHE_HOME:-~/.cache}/troupe)
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
set -euo pipefail

readonly CAF_VERSION=0.18.7
# The checksum of its orig.tar.gz in Debian.
readonly CAF_SHA256=d5c3abe8fd67a729aab1baeece10367637d903ba335f4c79378bcadfbcd34552
# Raise this when the way of building CAF changes: a cached build of another number is ignored.
readonly CAF_RECIPE=1

readonly PACKAGES=(
  make g++ cmake ninja-build git dpkg-dev
  libmsgpack-cxx-dev libspdlog-dev libfmt-dev doctest-dev librapidcheck-dev
  libsqlite3-dev libsqlitecpp-dev libutfcpp-dev libseccomp-dev libtomlplusplus-dev libcli11-dev
  nlohmann-json3-dev
  libssl-dev libexpected-dev libxxhash-dev libzstd-dev libre2-dev libmimalloc-dev pkg-config
  bubblewrap iso-codes python3 python3-msgpack gcovr clang-format
)

# What apt prints when it cannot reach its servers.
readonly NETWORK_ERRORS='Could not resolve|Temporary failure|Could not connect|Unable to connect'
readonly MORE_NETWORK_ERRORS='Connection (failed|refused|timed out)|Network is unreachable'

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly here

say() { printf 'troupe setup: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

temporary=()
trap '[ ${#temporary[@]} -eq 0 ] || rm -rf "${temporary[@]}"' EXIT
trap 'say "interrupted. Run the same command again; it continues where it can"; exit 130' INT
trap 'say "terminated. Run the same command again; it continues where it can"; exit 143' TERM HUP

# The Makefile's targets that build something, with what its help says about each.
targets() { sed -nE 's/^([a-z]+): [a-z$][^#]*## (.*)/\1\t\2/p' "$here/Makefile"; }

usage() {
  local target text
  echo "usage: ./setup.sh TARGET [ARGUMENT...]   install what is missing, then run make TARGET"
  targets | while IFS=$'\t' read -r target text; do
    printf '         %-10s %s\n' "$target" "$text"
  done
  echo "       ./setup.sh packages [MORE...]     install the missing Debian packages, and MORE"
  echo "       ./setup.sh caf                    build CAF once into the cache; prints where it is"
  echo "       ./setup.sh --help                 print this"
}

# Whether an earlier run of dpkg was cut off. apt refuses to work until dpkg has gone on.
dpkg_was_interrupted() {
  compgen -G '/var/lib/dpkg/updates/[0-9]*' >/dev/null ||
    dpkg-query -W -f '${db:Status-Status}\n' 2>/dev/null |
    grep -E '^(half-|unpacked|triggers-)' >/dev/null
}

# Runs apt-get install with its output in the log $1. Prints a line for each fifth of the work, and
# what apt waits for.
install_with_progress() {
  local log=$1
  shift
  "$@" 2>&1 </dev/null | tee -a "$log" | awk '
    function show(text) { print "troupe setup: " text > "/dev/stderr"; fflush() }
    / newly installed/ { all = ($1 + $3) * 2 }
    /^(Unpacking|Setting up) / && all { fifth = int(++done * 5 / all) }
    fifth > shown { shown = fifth; show("packages " shown * 20 " %") }
    /^Waiting for / && !waiting { waiting = 1; sub(/\r.*/, ""); show($0) }'
}

# Installs the missing ones of PACKAGES and of the packages given.
install_packages() {
  local wanted=("${PACKAGES[@]}" "$@")
  if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    say "there is no apt-get, so nothing was installed. Troupe needs what these Debian packages" \
        "hold: ${wanted[*]}"
    say "continuing; the build names what is missing"
    return 0
  fi
  local missing=() package states
  states=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' "${wanted[@]}" 2>/dev/null) || true
  for package in "${wanted[@]}"; do
    [[ $'\n'$states$'\n' == *$'\n'"$package installed"$'\n'* ]] || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return 0
  # sudo does not pass on its caller's variables, so env sets them behind it.
  local root=(env DEBIAN_FRONTEND=noninteractive LC_ALL=C)
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null ||
      die "only root can install packages, and there is no sudo. Run as root:" \
          "apt-get install ${missing[*]}"
    root=(sudo "${root[@]}")
  fi
  local apt=("${root[@]}" apt-get -o DPkg::Lock::Timeout=300)
  say "installing ${#missing[@]} packages: ${missing[*]}"
  local log
  log=$(mktemp)
  temporary+=("$log")
  if dpkg_was_interrupted; then
    say "completing an earlier installation that was interrupted"
    # What this cannot configure yet, --fix-broken completes below.
    "${root[@]}" dpkg --configure -a >/dev/null 2>&1 </dev/null || true
  fi
  "${apt[@]}" update -qq >"$log" 2>&1 </dev/null || explain_packages "$log"
  local install=("${apt[@]}" install -y -q --no-install-recommends --fix-broken "${missing[@]}")
  install_with_progress "$log" "${install[@]}" || explain_packages "$log"
}

# Ends with the last lines of apt's log and what to do.
explain_packages() {
  tail -n 20 "$1" >&2
  if grep -qE "$NETWORK_ERRORS|$MORE_NETWORK_ERRORS" "$1"; then
    die "the package servers cannot be reached. Check the network and apt's proxy, then run this" \
        "again"
  fi
  die "the packages could not be installed; the lines above say why"
}

# Installs the packages and continues with the Makefile.
make_target() {
  install_packages
  command -v make >/dev/null || die "there is no make. Install it, then run this again"
  cd "$here"
  exec make "$@"
}

# Downloads CAF's sources from Debian's source package into $1. apt verifies them against the
# archive's signed index. A mirror may hold an old index, so version and checksum are checked too.
fetch_caf_sources() {
  local dir=$1 uri
  local keyring=/usr/share/keyrings/debian-archive-keyring.gpg
  local otherwise="Install CAF 0.18 and set CMAKE_PREFIX_PATH to it"
  command -v apt-get >/dev/null ||
    die "CAF $CAF_VERSION is not installed, and there is no apt-get to download it. $otherwise"
  mkdir -p "$dir/lists/partial"
  local apt=(
    apt-get -o "Dir::Etc::sourcelist=$dir/sources.list" -o Dir::Etc::sourceparts=/dev/null
    -o "Dir::State::lists=$dir/lists" -o "Dir::Cache::pkgcache=" -o "Dir::Cache::srcpkgcache="
    -o APT::Get::List-Cleanup=0 -o Acquire::Check-Valid-Until=false -qq
  )
  for uri in $(apt-get indextargets --format '$(REPO_URI)' 2>/dev/null | sort -u); do
    printf 'deb-src [signed-by=%s] %s experimental main\n' "$keyring" "$uri" >"$dir/sources.list"
    (cd "$dir" && "${apt[@]}" update &&
      "${apt[@]}" source --download-only --tar-only actor-framework) >"$dir/fetch.log" 2>&1 || true
    [ -f "$dir/actor-framework_$CAF_VERSION.orig.tar.gz" ] && return 0
  done
  tail -n 5 "$dir/fetch.log" >&2 2>/dev/null || true
  die "the sources of CAF $CAF_VERSION could not be downloaded from this machine's package" \
      "servers. Check the network and run this again. Otherwise: $otherwise"
}

# Runs a build with its output in the log $1. Prints a line for each tenth of the work.
build_with_progress() {
  local log=$1
  shift
  "$@" 2>&1 | tee -a "$log" | awk '
    match($0, /^\[[0-9]+\/[0-9]+\]/) {
      split(substr($0, 2, RLENGTH - 2), part, "/")
      tenth = int(part[1] * 10 / part[2])
    }
    tenth > shown {
      shown = tenth
      print "troupe setup: CAF " shown * 10 " %" > "/dev/stderr"
      fflush()
    }'
}

# Prints this user's cache directory. HOME may be unset, as in a systemd unit.
cache_directory() {
  local home=${HOME:-}
  [ -n "${TROUPE_CACHE:-}" ] && { printf '%s\n' "$TROUPE_CACHE"; return; }
  [ -n "${XDG_CACHE_HOME:-}" ] && { printf '%s\n' "$XDG_CACHE_HOME/troupe"; return; }
  [ -n "$home" ] || home=$(getent passwd "$(id -u)" | cut -d: -f6) || true
  [ -n "$home" ] || die "there is no home directory for CAF. Set TROUPE_CACHE to a directory"
  printf '%s\n' "$home/.cache/troupe"
}

build_caf() {
  local cache compiler=${CXX:-g++} identity=gcc prefix
  cache=$(cache_directory)
  command -v "$compiler" >/dev/null ||
    die "there is no C++ compiler '$compiler' on the path. Run: ./setup.sh packages"
  # The compiler says what it is, since `c++` and `g++` may be the same program.
  "$compiler" -dM -E -x c++ /dev/null | grep __clang__ >/dev/null && identity=clang
  identity=$identity-$("$compiler" -dumpfullversion -dumpversion)-$(uname -m)
  prefix=$cache/caf-$CAF_VERSION-r$CAF_RECIPE-$identity
  if [ ! -f "$prefix/complete" ]; then
    mkdir -p "$cache"
    exec 9>"$cache/lock"
    if ! flock -n 9; then
      say "waiting for another build of CAF in $cache"
      flock 9
    fi
  fi
  [ -f "$prefix/complete" ] || build_caf_into "$prefix" "$cache" "$compiler" "$identity"
  printf '%s\n' "$prefix"
}

build_caf_into() {
  local prefix=$1 cache=$2 compiler=$3 identity=$4 work
  say "building CAF $CAF_VERSION once into $prefix (two to six minutes on two cores)"
  work=$(mktemp -d "$cache/build.XXXXXX")
  temporary+=("$work")
  fetch_caf_sources "$work"
  local archive=$work/actor-framework_$CAF_VERSION.orig.tar.gz
  sha256sum --quiet --check <<<"$CAF_SHA256  $archive" >&2 ||
    die "the downloaded sources of CAF have another checksum than expected; nothing was built"
  mkdir "$work/source"
  tar -xzf "$archive" -C "$work/source" --strip-components=1
  rm -rf "$prefix"
  local configure=(
    cmake -S "$work/source" -B "$work/build" -G Ninja -DCMAKE_BUILD_TYPE=Release
    -DCMAKE_INSTALL_PREFIX="$prefix" -DCMAKE_INSTALL_LIBDIR=lib -DCMAKE_CXX_COMPILER="$compiler"
    -DBUILD_SHARED_LIBS=OFF -DCMAKE_POSITION_INDEPENDENT_CODE=ON -DCAF_ENABLE_TESTING=OFF
    -DCAF_ENABLE_TOOLS=OFF -DCAF_ENABLE_EXAMPLES=OFF -DCAF_ENABLE_OPENSSL_MODULE=OFF
  )
  local build=(env NINJA_STATUS='[%f/%t] ' cmake --build "$work/build")
  if ! { "${configure[@]}" >"$work/log" 2>&1 && build_with_progress "$work/log" "${build[@]}" &&
         cmake --install "$work/build" >>"$work/log" 2>&1; }; then
    tail -n 30 "$work/log" >&2
    die "CAF could not be built; the lines above say why"
  fi
  printf 'CAF %s, recipe %s, %s\n' "$CAF_VERSION" "$CAF_RECIPE" "$identity" >"$prefix/complete"
  say "CAF is ready"
}

case ${1-help} in
  help | -h | --help) usage ;;
  packages) install_packages "${@:2}" ;;
  caf) build_caf ;;
  *)
    if [ -n "$1" ] && targets | cut -f1 | grep -xF -e "$1" >/dev/null; then
      make_target "$@"
    fi
    say "'$1' is none of these"
    usage >&2
    exit 2
    ;;
esac
