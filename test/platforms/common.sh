# What the scripts for other platforms share: Debian packages and Bun's executables, kept in $PLATFORMS_DIR.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
dir=${PLATFORMS_DIR:-/tmp/epoll-hello-platforms}
bun_version=${BUN_VERSION:-1.4.5}
mkdir -p "$dir"

packages() { # NAME…: installs Debian packages that are missing
  local missing=()
  for name in "$@"; do dpkg -s "$name" >/dev/null 2>&1 || missing+=("$name"); done
  [ ${#missing[@]} -eq 0 ] || apt-get install -y -qq "${missing[@]}" >/dev/null
}

unpack() { # FOLDER NAME:ARCH…: unpacks Debian packages without installing them
  local folder=$dir/$1 name
  shift
  [ -e "$folder.done" ] && return
  mkdir -p "$folder" "$folder.debs"
  for name in "$@"; do
    case $name in *:arm64)
      if ! dpkg --print-foreign-architectures | grep -qx arm64; then
        dpkg --add-architecture arm64
        apt-get update -qq
      fi
    esac
    (cd "$folder.debs" && apt-get download -qq "$name" 2>/dev/null)
  done
  for name in "$folder.debs"/*.deb; do dpkg -x "$name" "$folder"; done
  touch "$folder.done"
}

bun_for() { # linux-aarch64-musl [VERSION]: prints the path of Bun's executable
  local version=${2:-$bun_version}
  local folder=$dir/bun-$1
  [ "$version" = "$bun_version" ] || folder=$folder-$version
  if [ ! -x "$folder/package/bin/bun" ]; then
    mkdir -p "$folder"
    (cd "$folder" && npm pack --silent "@oven/bun-$1@$version" >/dev/null && tar -xzf ./*.tgz && rm ./*.tgz)
    chmod +x "$folder/package/bin/bun"
  fi
  echo "$folder/package/bin/bun"
}
