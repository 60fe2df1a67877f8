#!/bin/sh
# Builds Debian 13's git from its source package, as far as the tests need it, for `make test-git GIT=<prefix>`. Unlike Debian
# 12's, it honours fetch.fsck.<msg-id> (2.44 or later). If it can't be built, a line on standard error says why, and the exit
# status is 1.

set -eu
prefix=${1:?usage: t/newer-git.sh <prefix>}
suite=trixie
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cannot () {
	echo "no newer git: $*" >&2
	test ! -s "$work/log" || tail -n 5 "$work/log" >&2
	exit 1
}

command -v apt-get >/dev/null || cannot "there is no apt-get here"

# These settings of apt-get apply to this directory only.
mkdir -p "$work/lists/partial" "$work/archives/partial"
echo "deb-src http://deb.debian.org/debian $suite main" >"$work/sources.list"
apt () {
	apt-get -qq -o Dir::Etc::SourceList="$work/sources.list" -o Dir::Etc::SourceParts=- -o Dir::State::Lists="$work/lists" \
		-o Dir::Cache="$work" -o APT::Sandbox::User=root "$@" >>"$work/log" 2>&1
}

cd "$work"
if ! test -e /usr/include/zlib.h || ! command -v xz >/dev/null; then
	{
		apt-get -qq update &&
		DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends zlib1g-dev xz-utils
	} >>log 2>&1 || cannot "zlib1g-dev and xz-utils can't be installed"
fi
apt update || cannot "the list of $suite can't be read"
apt source --download-only --tar-only git || cannot "its source can't be downloaded"
mkdir source
tar -x -J -f git_*.orig.tar.xz -C source --strip-components=1 2>>log || cannot "its source can't be unpacked"
make -C source -j "$(getconf _NPROCESSORS_ONLN)" prefix="$prefix" CFLAGS=-O1 NO_GETTEXT=1 NO_TCLTK=1 NO_PERL=1 NO_PYTHON=1 \
	NO_CURL=1 NO_EXPAT=1 NO_OPENSSL=1 NO_RUST=1 install >>log 2>&1 || cannot "it can't be built"
"$prefix/bin/git" --version
