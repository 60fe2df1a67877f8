#!/bin/sh
# Builds the given commands for every supported system into dist/: static, without paths of this machine, the same bytes
# for the same source and Go.

set -eu
cd "$(dirname "$0")/.."
version=$(sed -n 's/^const Version = "\(.*\)"/\1/p' internal/version/version.go)
mkdir -p dist
for os in linux darwin windows freebsd; do
	for arch in amd64 arm64; do
		dir=dist/aig-$version-$os-$arch
		suffix=
		test $os = windows && suffix=.exe
		for command; do
			CGO_ENABLED=0 GOOS=$os GOARCH=$arch \
				go build -trimpath -ldflags='-s -w -buildid=' -o "$dir/$command$suffix" "./cmd/$command"
		done
		cp LICENSE README.md "$dir/"
		echo "$dir"
	done
done
