#!/usr/bin/env bash
# Provides what Troupe builds against. `make` calls it; it can be called alone:
#
#   ./setup.sh packages [MORE...]   install the missing Debian packages, and MORE (root or sudo)
#   ./setup.sh caf                  build CAF once into the per-user cache; prints its prefix on the last line
#
# Environment:
#   TROUPE_CACHE   where CAF is kept (default: ${XDG_CACHE_HOME:-~/.cache}/troupe)
set -euo pipefail

readonly CAF_VERSION=0.18.7
readonly CAF_SHA256=d5c3abe8fd67a729aab1baeece10367637d903ba335f4c79378bcadfbcd34552  # of its orig.tar.gz in Debian
# Raise when the way CAF is built changes: an older build in the cache is then left alone and a new one made.
readonly CAF_RECIPE=1

readonly PACKAGES=(
  g++ cmake ninja-build git dpkg-dev
  libmsgpack-cxx-dev libspdlog-dev libfmt-dev doctest-dev librapidcheck-dev
  libsqlite3-dev libseccomp-dev libtomlplusplus-dev libcli11-dev nlohmann-json3-dev
  libssl-dev libexpected-dev libxxhash-dev libzstd-dev libre2-dev libmimalloc-dev pkg-config
  bubblewrap iso-codes python3 python3-msgpack gcovr clang-format
)

say() { printf 'troupe setup: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

installed() { dpkg-query -W -f '${db:Status-Status}\n' "$1" 2>/dev/null | grep -qx installed; }

# Runs apt-get install, keeping its log and showing a line for each fifth of the way, and what apt waits for.
install_with_progress() {
  local log=$1
  shift
  "$@" 2>&1 </dev/null | tee -a "$log" | awk '
    / newly installed/ { all = ($1 + $3) * 2 }
    /^(Unpacking|Setting up) / && all { fifth = int(++done * 5 / all) }
    fifth > shown { shown = fifth; printf "troupe setup: packages %d %%\n", shown * 20 > "/dev/stderr"; fflush() }
    /^Waiting for / && !told { told = 1; sub(/\r.*/, ""); print "troupe setup: " $0 > "/dev/stderr"; fflush() }'
}

# Installs what is missing of PACKAGES and of the packages given.
install_packages() {
  local wanted=("${PACKAGES[@]}" "$@")
  if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    say "this is not a Debian system. Troupe needs the equivalent of these packages: ${wanted[*]}"
    say "continuing: the build names whatever is missing"
    return 0
  fi
  local missing=() package
  for package in "${wanted[@]}"; do
    installed "$package" || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return 0
  # sudo hands on no variables of its caller. apt waits that long for another one that is at work.
  local apt=(env DEBIAN_FRONTEND=noninteractive LC_ALL=C apt-get -o DPkg::Lock::Timeout=300)
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || die "run this as root, or install sudo: apt-get install ${missing[*]}"
    apt=(sudo "${apt[@]}")
  fi
  say "installing ${#missing[@]} packages: ${missing[*]}"
  local log
  log=$(mktemp)
  if ! { "${apt[@]}" update -qq >"$log" 2>&1 </dev/null &&
         install_with_progress "$log" "${apt[@]}" install -y -q --no-install-recommends "${missing[@]}"; }; then
    tail -n 20 "$log" >&2
    rm -f "$log"
    die "the packages could not be installed; see the lines above"
  fi
  rm -f "$log"
}

# Downloads the CAF sources of Debian's source package into $1. apt checks them against the archive's signed index, which
# may be an old one, as a mirror that stands still has it: the version and the sum of what is wanted are known here.
fetch_caf_sources() {
  local dir=$1 uri
  command -v apt-get >/dev/null || die "CAF $CAF_VERSION is not installed and this system has no apt. Install CAF 0.18 and set CMAKE_PREFIX_PATH to it"
  mkdir -p "$dir/lists/partial"
  local options=(
    -o "Dir::Etc::sourcelist=$dir/sources.list" -o Dir::Etc::sourceparts=/dev/null -o "Dir::State::lists=$dir/lists"
    -o "Dir::Cache::pkgcache=" -o "Dir::Cache::srcpkgcache=" -o APT::Get::List-Cleanup=0
    -o Acquire::Check-Valid-Until=false
  )
  for uri in $(apt-get indextargets --format '$(REPO_URI)' 2>/dev/null | sort -u); do
    printf 'deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s experimental main\n' "$uri" >"$dir/sources.list"
    (cd "$dir" && apt-get "${options[@]}" -qq update && apt-get "${options[@]}" -qq source --download-only --tar-only actor-framework) \
      >"$dir/fetch.log" 2>&1 || true
    [ -f "$dir/actor-framework_$CAF_VERSION.orig.tar.gz" ] && return 0
  done
  tail -n 5 "$dir/fetch.log" >&2 2>/dev/null || true
  die "Debian's source package of CAF $CAF_VERSION cannot be had from this machine's package sources. Install CAF 0.18 and set CMAKE_PREFIX_PATH to it, or run again with a network"
}

# Runs a build, keeping its log and showing a line for each tenth of the way.
build_with_progress() {
  local log=$1
  shift
  "$@" 2>&1 | tee "$log" | awk '
    match($0, /^\[[0-9]+\/[0-9]+\]/) {
      split(substr($0, 2, RLENGTH - 2), part, "/")
      tenth = int(part[1] * 10 / part[2])
      if (tenth > shown) { shown = tenth; printf "troupe setup: CAF %d %%\n", tenth * 10 > "/dev/stderr"; fflush() }
    }'
}

# Where things are kept for this user; HOME may not be set, as in a unit of systemd.
cache_directory() {
  local home=${HOME:-}
  [ -n "${TROUPE_CACHE:-}" ] && { printf '%s\n' "$TROUPE_CACHE"; return; }
  [ -n "${XDG_CACHE_HOME:-}" ] && { printf '%s\n' "$XDG_CACHE_HOME/troupe"; return; }
  [ -n "$home" ] || home=$(getent passwd "$(id -u)" | cut -d: -f6) || true
  [ -n "$home" ] || die "there is no home directory to keep CAF in; set TROUPE_CACHE to a directory"
  printf '%s\n' "$home/.cache/troupe"
}

build_caf() {
  local cache
  cache=$(cache_directory)
  local compiler=${CXX:-g++}
  command -v "$compiler" >/dev/null || die "no C++ compiler: '$compiler' is not on the path"
  local identity prefix
  # Asked of the compiler itself: `c++` and `g++` may be one and the same.
  identity=gcc
  "$compiler" -dM -E -x c++ /dev/null | grep -q __clang__ && identity=clang
  identity=$identity-$("$compiler" -dumpfullversion -dumpversion)-$(uname -m)
  prefix=$cache/caf-$CAF_VERSION-r$CAF_RECIPE-$identity
  if [ ! -f "$prefix/complete" ]; then
    mkdir -p "$cache"
    exec 9>"$cache/lock"
    if ! flock -n 9; then
      say "waiting for somebody else who builds CAF in $cache"
      flock 9
    fi
  fi
  if [ ! -f "$prefix/complete" ]; then
    say "building CAF $CAF_VERSION once into $prefix (two to six minutes on two cores)"
    work=$(mktemp -d "$cache/build.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    fetch_caf_sources "$work"
    sha256sum --quiet --check <<<"$CAF_SHA256  $work/actor-framework_$CAF_VERSION.orig.tar.gz" >&2 ||
      die "the CAF sources that were downloaded are not those that are known; nothing was built"
    mkdir "$work/source"
    tar -xzf "$work/actor-framework_$CAF_VERSION.orig.tar.gz" -C "$work/source" --strip-components=1
    rm -rf "$prefix"
    if ! { cmake -S "$work/source" -B "$work/build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DCMAKE_INSTALL_PREFIX="$prefix" \
             -DCMAKE_INSTALL_LIBDIR=lib -DCMAKE_CXX_COMPILER="$compiler" -DBUILD_SHARED_LIBS=OFF \
             -DCMAKE_POSITION_INDEPENDENT_CODE=ON -DCAF_ENABLE_TESTING=OFF -DCAF_ENABLE_TOOLS=OFF -DCAF_ENABLE_EXAMPLES=OFF \
             -DCAF_ENABLE_OPENSSL_MODULE=OFF >"$work/log" 2>&1 &&
           build_with_progress "$work/log" env NINJA_STATUS='[%f/%t] ' cmake --build "$work/build" &&
           cmake --install "$work/build" >>"$work/log" 2>&1; }; then
      tail -n 30 "$work/log" >&2
      die "CAF could not be built; see the lines above"
    fi
    printf 'CAF %s, recipe %s, %s\n' "$CAF_VERSION" "$CAF_RECIPE" "$identity" >"$prefix/complete"
    say "CAF is ready"
  fi
  printf '%s\n' "$prefix"
}

case ${1:-} in
  packages) install_packages "${@:2}" ;;
  caf) build_caf ;;
  *) die "usage: ./setup.sh packages [MORE...] | caf" ;;
esac
