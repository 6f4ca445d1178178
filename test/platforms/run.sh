#!/bin/bash
# Runs smoke.ts on each platform and in each restricted environment, and prints a table.
#
#   test/platforms/run.sh [PLATFORM…]     default: all
#   PLATFORMS_TESTS=1 also runs a part of the test suite on the platforms that have the tools for it.
#
# For an x86-64 machine with Debian 12 and root. It downloads what it needs to $PLATFORMS_DIR (see common.sh).
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
. "$here/common.sh"

glibc_files() { # prints what Bun needs of glibc
  echo /lib64/ld-linux-x86-64.so.2
  for name in libc libpthread libdl libm; do echo "/lib/x86_64-linux-gnu/$name.so.[0-9]"; done
}

copy_package() { # ROOT: copies the sources, the smoke program and the packages that the sources import
  mkdir -p "$1/package/test/platforms" "$1/package/node_modules"
  cp -r "$root/src" "$root/native" "$root/package.json" "$root/bin" "$1/package/"
  cp "$here/smoke.ts" "$1/package/test/platforms/"
  local name
  for name in citty consola undici ws preact; do cp -r "$root/node_modules/$name" "$1/package/node_modules/"; done
}

make_root() { # NAME BUN: prints a new folder with Bun, glibc and the package, and nothing else
  local folder=$dir/smoke-$1 file
  rm -rf "$folder"
  mkdir -p "$folder"
  for file in $(glibc_files); do
    mkdir -p "$folder$(dirname "$file")"
    cp -L "$file" "$folder$file"
  done
  cp "$2" "$folder/bun"
  copy_package "$folder"
  chmod -R a+rX "$folder"
  echo "$folder"
}

declare -a table=()
failed=0

smoke() { # TITLE COMMAND…: the environment is passed on
  local title=$1 output code=0
  shift
  printf '\n%s\n\n' "$title"
  output=$("$@" 2>&1 </dev/null) || code=$?
  printf '%s\n' "$output"
  local summary
  summary=$(printf '%s\n' "$output" | sed -n 's/^  \([0-9]* passed, .*\)$/\1/p' | tail -n 1)
  [ $code -eq 0 ] && [ -n "$summary" ] || { failed=1; summary="${summary:-ended early} (exit code $code)"; }
  table+=("| $title | $summary |")
}

program=/package/test/platforms/smoke.ts
# In a root without anything, a program has no PATH and no HOME.
in_root() { # ROOT SETUP COMMAND…: runs a command in a root of its own mounts; SETUP is a shell command that sees $root
  local folder=$1 setup=$2
  shift 2
  timeout 600 unshare --mount --propagation private sh -c 'root=$0; setup=$1; shift; eval "$setup"; exec env -i SMOKE_SKIP="$SMOKE_SKIP" SMOKE_CLI="$SMOKE_CLI" /usr/sbin/chroot $CHROOT_USER "$root" "$@"' \
    "$folder" "$setup" "$@"
}
export SMOKE_SKIP="" CHROOT_USER=""
export SMOKE_CLI="/bun /package/src/tools/cli/main.ts"

# The kernel's file systems that containers have.
mounts='mkdir -p "$root/proc" "$root/tmp" "$root/dev"; mount -t proc proc "$root/proc"; mount -t tmpfs tmpfs "$root/tmp"; mount --rbind /dev "$root/dev"'

x64() {
  smoke "x86-64, glibc" timeout 600 env -u SMOKE_CLI "$(bun_for linux-x64)" "$here/smoke.ts"
  [ -z "${PLATFORMS_TESTS:-}" ] || (cd "$root" && "$(bun_for linux-x64)" test test/io test/watch)
}

musl() {
  packages musl
  [ -e "$dir/musl-x64/libstdc++.so.6" ] || bash "$here/native-addons.sh" x64-musl >/dev/null
  smoke "x86-64, musl" timeout 600 env -u SMOKE_CLI LD_LIBRARY_PATH="$dir/musl-x64" "$(bun_for linux-x64-musl)" "$here/smoke.ts"
  [ -z "${PLATFORMS_TESTS:-}" ] || (cd "$root" && LD_LIBRARY_PATH=$dir/musl-x64 "$(bun_for linux-x64-musl)" test test/io/epoll test/io/eventfd.test.ts test/io/timerfd.test.ts)
}

arm64() {
  packages qemu-user
  unpack arm64 libc6:arm64 libuv1:arm64 libgcc-s1:arm64 libstdc++6:arm64
  smoke "arm64, glibc, qemu-user" timeout 1200 env -u SMOKE_CLI QEMU_LD_PREFIX="$dir/arm64" SMOKE_PREFIX=qemu-aarch64 \
    SMOKE_SKIP="workers=the supervisor cannot start the emulator for its workers" \
    qemu-aarch64 "$(bun_for linux-aarch64)" "$here/smoke.ts"
}

libc-only() {
  local folder
  folder=$(make_root libc "$(bun_for linux-x64)")
  smoke "a root with only Bun and libc" in_root "$folder" "$mounts" /bun "$program"
}

no-proc() {
  local folder
  folder=$(make_root no-proc "$(bun_for linux-x64)")
  # glibc finds the stack of the main thread in /proc/self/maps, and Bun aborts if it cannot.
  if ! in_root "$folder" "$mounts; umount \$root/proc; rmdir \$root/proc" /bun -e 0 >/dev/null 2>&1; then
    printf '\nno /proc\n\n  skipped: Bun itself does not start\n'
    table+=("| no /proc | skipped: Bun itself does not start |")
    return
  fi
  smoke "no /proc" in_root "$folder" "$mounts; umount \$root/proc; rmdir \$root/proc" /bun "$program"
}

no-tmp() {
  local folder
  folder=$(make_root no-tmp "$(bun_for linux-x64)")
  smoke "no /tmp" in_root "$folder" "$mounts; umount \$root/tmp; rmdir \$root/tmp" /bun "$program"
}

read-only() {
  local folder
  folder=$(make_root read-only "$(bun_for linux-x64)")
  smoke "a read-only root, without /tmp" in_root "$folder" \
    "$mounts; umount \$root/tmp; mount --bind \$root \$root; mount -o remount,bind,ro \$root; mount -t proc proc \$root/proc; mount --rbind /dev \$root/dev" /bun "$program"
}

user() {
  local folder
  folder=$(make_root user "$(bun_for linux-x64)")
  CHROOT_USER="--userspec=65534:65534" smoke "an ordinary user" in_root "$folder" "$mounts" /bun "$program"
}

compiled() {
  local folder=$dir/smoke-compiled bun file
  bun=$(bun_for linux-x64)
  rm -rf "$folder"
  mkdir -p "$folder"
  for file in $(glibc_files); do
    mkdir -p "$folder$(dirname "$file")"
    cp -L "$file" "$folder$file"
  done
  (cd "$root" && "$bun" build --compile --outfile="$folder/smoke" test/platforms/smoke.ts &&
    "$bun" build --compile --outfile="$folder/epoll-hello" src/tools/cli/main.ts) >/dev/null
  SMOKE_CLI=/epoll-hello SMOKE_SKIP="Worker=its source is not in the executable" \
    smoke "bun build --compile, in an empty root" in_root "$folder" "$mounts" /smoke
}

oldest() {
  local version
  version=$(sed -n 's/.*"bun": ">=\([0-9.]*\)".*/\1/p' "$root/package.json" | tail -n 1)
  case $version in *.*.*) ;; *) version=$version.0 ;; esac
  smoke "the oldest Bun, $version" timeout 600 env -u SMOKE_CLI "$(bun_for linux-x64 "$version")" "$here/smoke.ts"
}

newest() {
  local version
  version=$(npm view bun version)
  smoke "the newest Bun, $version" timeout 600 env -u SMOKE_CLI "$(bun_for linux-x64 "$version")" "$here/smoke.ts"
}

[ $# -gt 0 ] || set -- x64 musl arm64 libc-only compiled user read-only no-proc no-tmp oldest newest
for platform in "$@"; do "$platform"; done
printf '\n| Platform | Checks |\n| --- | --- |\n'
printf '%s\n' "${table[@]}"
exit $failed
