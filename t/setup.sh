#!/bin/sh
# Installs what the tests, the linters and the demo need and this machine lacks: Debian packages, nothing else. The
# programs themselves need only git, and what the transport is made of.

set -eu

missing=
need () { # <package> <path or command that it brings>
	case $2 in
	/*) test -e "$2" ;;
	*) command -v "$2" >/dev/null 2>&1 ;;
	esac || missing="$missing $1"
}

need git git
need openssh-client ssh
need openssh-client ssh-keygen
need procps ps
need perl prove
need sharness /usr/share/sharness/sharness.sh
need shellcheck shellcheck
# What the benchmarks compare with.
need rsync rsync
# The race detector links with the C library.
need gcc gcc
need libc6-dev /usr/include/stdlib.h

if ! command -v go >/dev/null 2>&1; then
	echo "fatal: go is not in PATH: install Go 1.26 or later first" >&2
	exit 1
fi
test -n "$missing" || exit 0

sudo=
test "$(id -u)" = 0 || sudo=sudo
if ! command -v apt-get >/dev/null 2>&1 || { test -n "$sudo" && ! command -v sudo >/dev/null 2>&1; }; then
	echo "fatal: these Debian packages are missing, and cannot be installed from here:$missing" >&2
	exit 1
fi
echo "installing:$missing"
# Words of a list, on purpose.
# shellcheck disable=SC2086
DEBIAN_FRONTEND=noninteractive $sudo sh -c "apt-get -qq update && apt-get -qq install -y --no-install-recommends $missing" >/dev/null
