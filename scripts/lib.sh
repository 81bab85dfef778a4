# Shared by the scripts of this folder: where the checkout is, and its Python environment.
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
cd "$root"

say() { printf '\033[1m%s\033[0m\n' "$*" >&2; }

# need PROGRAM PACKAGE...: install the distribution's packages unless the program is there.
need() {
  local program="$1"
  shift
  command -v "$program" >/dev/null 2>&1 && return 0
  [ -e "$program" ] && return 0
  missing+=("$@")
}

# What nodes are made of.
node_packages() {
  need containerd containerd
  need runc runc
  need /usr/lib/cni/bridge containernetworking-plugins
  need nft nftables
  need ip iproute2
  need nsenter util-linux
  need mount mount
  need iptables iptables
  need conntrack conntrack
  need busybox busybox-static
}

install_missing() {
  [ "${#missing[@]}" -eq 0 ] && return 0
  if [ "$(id -u)" -ne 0 ]; then
    say "These packages are needed and only root can install them: ${missing[*]}"
    return 1
  fi
  say "Installing ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# The environment in .venv holds exactly what requirements.lock names, and this checkout.
environment() {
  install_environment
  # Half of the time to start would be compiling, where Python may not write down what it compiles.
  .venv/bin/python -m compileall -q src
}

install_environment() {
  local stamp=".venv/.locked"
  if [ -e "$stamp" ] && cat requirements.lock pyproject.toml | cmp -s - "$stamp"; then
    return 0
  fi
  say "Making the Python environment in .venv"
  [ -x .venv/bin/python ] || python3 -m venv .venv
  .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes \
    -r requirements.lock
  .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps \
    --no-build-isolation -e .
  cat requirements.lock pyproject.toml >"$stamp"
}
