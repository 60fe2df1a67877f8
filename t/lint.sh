#!/bin/sh
# Runs every linter over everything, even after one has failed.

cd "$(dirname "$0")/.." || exit
status=0

unformatted=$(gofmt -l cmd internal t)
if test -n "$unformatted"; then
	echo "not gofmt-ed:"
	echo "$unformatted"
	status=1
fi
# The benchmarks and the packaging are modules of their own.
for module in . t/bench t/dist; do
	go vet -C $module ./... || status=1
	go run -C $module honnef.co/go/tools/cmd/staticcheck@v0.8.2 ./... || status=1
done
# An int has 32 bits on 386.
GOARCH=386 go vet ./... || status=1
for os in windows darwin freebsd; do
	GOOS=$os go vet ./... || status=1
done
find t -maxdepth 1 -type f -name '*.sh' -exec shellcheck -x -P SCRIPTDIR .ci/run docs/systemd/installed docs/systemd/remove docs/systemd/removed docs/completion/git-aig-sync.bash {} + || status=1
mandoc -T lint -W warning docs/man/* || status=1
test $status = 0 && echo "gofmt, vet, staticcheck, shellcheck and mandoc found nothing"
exit $status
