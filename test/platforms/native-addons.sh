#!/bin/bash
# Runs native addons that need libuv on other platforms than this machine's, and prints a table for each.
#
#   test/platforms/native-addons.sh [x64 | x64-versions | arm64 | x64-musl | arm64-musl]…     default: all
#
# For an x86-64 machine with Debian 12 and root. It installs what it needs with apt-get (compilers, qemu-user), and downloads the
# rest to $PLATFORMS_DIR (default: /tmp/epoll-hello-platforms): Bun's executables and addons from npm, Debian's packages for
# arm64 and for musl, and libuv's sources from GitHub (or from $LIBUV_REPOSITORY, a clone). It changes nothing else.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
libuv_repository=${LIBUV_REPOSITORY:-https://github.com/libuv/libuv}
oldest=v1.30.1
newest=v1.52.0
. "$here/common.sh"

addons() { # x64 glibc: prints the paths of addons from npm
  local modules=$dir/npm/node_modules file
  if [ ! -d "$modules/zeromq" ]; then
    mkdir -p "$dir/npm"
    echo '{}' >"$dir/npm/package.json"
    (cd "$dir/npm" && npm install --ignore-scripts --no-audit --no-fund --silent \
      @serialport/bindings-cpp@13 zeromq@6 udx-native@1 fs-native-extensions@1 >&2)
  fi
  for file in "$modules"/@serialport/bindings-cpp/prebuilds/linux-"$1"/*."$2".node "$modules"/zeromq/build/linux/"$1"/node/"$2"-127-Release/addon.node; do
    [ -e "$file" ] && echo "$file"
  done
  [ "$2" = musl ] || ls "$modules"/{udx-native,fs-native-extensions}/prebuilds/linux-"$1"/*.node # none for musl
}

libuv_source() { # TAG: prints the folder
  local folder=$dir/libuv-$1
  if [ ! -d "$folder/src" ]; then
    if [ ! -d "$dir/libuv.git" ]; then git clone --quiet --bare "$libuv_repository" "$dir/libuv.git"; fi
    mkdir -p "$folder"
    git -C "$dir/libuv.git" archive "$1" | tar -x -C "$folder"
  fi
  echo "$folder"
}

build_libuv() { # TAG FILE CC…: compiles the files that its build would
  local source file=$2 name files=()
  source=$(libuv_source "$1")
  shift 2
  [ -e "$file" ] && return
  for name in async core dl fs getaddrinfo getnameinfo loop loop-watcher pipe poll process random-devurandom random-getrandom \
    random-sysctl-linux signal stream tcp thread tty udp linux linux-core linux-inotify linux-syscalls procfs-exepath proctitle; do
    [ -e "$source/src/unix/$name.c" ] && files+=("$source/src/unix/$name.c")
  done
  "$@" -shared -fPIC -O1 -w -o "$file" -Wl,-soname,libuv.so.1 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -D_LARGEFILE_SOURCE \
    -I"$source/include" -I"$source/src" "$source"/src/*.c "${files[@]}"
}

fixtures() { # PLATFORM CC…
  local platform=$1
  shift
  "$@" -shared -fPIC -o "$dir/addon-$platform.node" "$root/test/libuv/fixtures/addon.c"
  "$@" -shared -fPIC -o "$dir/arguments-$platform.node" "$here/arguments.c"
}

failed=0

run() { # TITLE PLATFORM BUN ADDON…: the environment is passed on
  local title=$1 platform=$2 bun=$3
  shift 3
  printf '\n%s\n\n' "$title"
  (cd "$root" && LD_LIBRARY_PATH=${libraries:-} NATIVE_ADDONS_BUN=$bun timeout 600 $bun --preload epoll-hello/libuv "$here/native-addons.cjs" \
    "$dir/addon-$platform.node" "$dir/arguments-$platform.node" "$@" 2>&1) | tee "$dir/output-$platform" | node "$here/table.mjs" || failed=1
}

# ---- the platforms ----

x64() {
  packages gcc libuv1
  fixtures x64 gcc
  run "x86-64, glibc" x64 "$(bun_for linux-x64)" $(addons x64 glibc)
}

x64-versions() {
  packages gcc git
  fixtures x64 gcc
  for tag in $oldest $newest; do
    build_libuv $tag "$dir/libuv-$tag.so" gcc
    EPOLL_HELLO_LIBUV=$dir/libuv-$tag.so run "x86-64, glibc, libuv $tag" x64 "$(bun_for linux-x64)" $(addons x64 glibc)
  done
}

arm64() {
  packages qemu-user gcc-aarch64-linux-gnu
  unpack arm64 libc6:arm64 libuv1:arm64 libgcc-s1:arm64 libstdc++6:arm64
  fixtures arm64 aarch64-linux-gnu-gcc
  QEMU_LD_PREFIX=$dir/arm64 run "arm64, glibc, qemu-user" arm64 "qemu-aarch64 $(bun_for linux-aarch64)" $(addons arm64 glibc)
}

# Compiles libstdc++ and libuv for musl, and runs. Debian has no libstdc++ for musl; so one is linked from its archive.
musl() { # ARCH DEBIAN_ARCH TRIPLE LIBGCC_S COMPILER PREFIX
  local arch=$1 debian=$2 triple=$3 libgcc=$4 cc=$5 emulator=$6 bun name lib=$dir/musl-$1
  unpack "root-$arch-musl" "musl:$debian" "musl-dev:$debian" "libstdc++-12-pic:$debian"
  local sys=$dir/root-$arch-musl
  bun=$(bun_for "linux-${arch/arm64/aarch64}-musl")
  local compile=("$cc" -fno-stack-protector -U_FORTIFY_SOURCE -nostdinc -isystem "$sys/usr/include/$triple-musl" -isystem "$("$cc" -print-file-name=include)"
    -idirafter /usr/include -idirafter "/usr/include/$triple-gnu" -idirafter "/usr/$triple-gnu/include" -nostdlib)
  # Else the compiler calls atomic functions of libgcc.a, which -nostdlib leaves out.
  [ "$arch" = x64 ] || compile+=(-mno-outline-atomics)
  mkdir -p "$lib"
  cp "$libgcc" "$lib/libgcc_s.so.1"
  local pic libc
  libc=$(find "$sys" -path "*-musl/libc.so")
  pic=$(find "$sys" -name libstdc++_pic.a)
  # The names that Bun and the addons use.
  for name in "$bun" $(addons "$arch" musl); do nm -D --undefined-only "$name"; done | awk 'NF == 2 { print $2 }' | sed 's/@.*//' | sort -u >"$lib/used"
  nm --defined-only "$pic" 2>/dev/null | awk 'NF == 3 { print $3 }' | sort -u | comm -12 - "$lib/used" | sed 's/^/-Wl,-u,/' >"$lib/wanted"
  "${compile[@]}" -w -shared -fPIC -o "$lib/libstdc++.so.6" -Wl,-soname,libstdc++.so.6 $(cat "$lib/wanted") "$here/musl-libstdcxx.c" "$pic" \
    "$("$cc" -print-libgcc-file-name)" "$lib/libgcc_s.so.1" "$libc" -Wl,--allow-shlib-undefined
  build_libuv $newest "$lib/libuv.so.1" "${compile[@]}"
  fixtures "$arch-musl" "${compile[@]}"
  # The interpreter of the executable is /lib/ld-musl-….so.1.
  if [ -n "$emulator" ]; then
    export QEMU_LD_PREFIX=$sys QEMU_SET_ENV=LD_LIBRARY_PATH=$lib
    run "$arch, musl, qemu-user" "$arch-musl" "$emulator $bun" $(addons "$arch" musl)
    unset QEMU_LD_PREFIX QEMU_SET_ENV
  else
    packages musl
    libraries=$lib run "$arch, musl" "$arch-musl" "$bun" $(addons "$arch" musl)
  fi
}

x64-musl() {
  packages gcc git
  musl x64 amd64 x86_64-linux /lib/x86_64-linux-gnu/libgcc_s.so.1 gcc ""
}

arm64-musl() {
  packages qemu-user gcc-aarch64-linux-gnu git
  unpack arm64 libc6:arm64 libuv1:arm64 libgcc-s1:arm64 libstdc++6:arm64
  musl arm64 arm64 aarch64-linux "$dir/arm64/lib/aarch64-linux-gnu/libgcc_s.so.1" aarch64-linux-gnu-gcc qemu-aarch64
}

[ $# -gt 0 ] || set -- x64 x64-versions arm64 x64-musl arm64-musl
for platform in "$@"; do "$platform"; done
exit $failed
