# Everything that is done with this repository: `make help` lists it.

COMMANDS = git-aig-sync git-remote-aig aig-switchboard
HELPERS = aig-test-pipe aig-test-reread aig-test-nats
SOURCES := $(shell find cmd internal -name '*.go' 2>/dev/null) go.mod
BUILD = go build -trimpath -ldflags=-buildid=

# GIT=<prefix> runs the tests, and everything they start, with the git in <prefix>/bin.
ifdef GIT
export PATH := $(abspath $(GIT))/bin:$(PATH)
endif

# git finds git-aig-sync in any directory of PATH.
prefix ?= /usr/local
bindir ?= $(prefix)/bin
datadir ?= $(prefix)/share
mandir ?= $(datadir)/man

.PHONY: all build setup demo cluster-demo record test test-go test-t test-git test-packages test-platforms fuzz torture bench bench-switchboard lint install dist clean help

all: build

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1 /p' Makefile | while read -r name what; do printf '%-14s %s\n' "$$name" "$$what"; done

build: $(COMMANDS:%=bin/%) ## build the programs into bin/

bin/aig-test-%: $(SOURCES) t/%/main.go
	$(BUILD) -o $@ ./t/$*

bin/%: $(SOURCES)
	$(BUILD) -o $@ ./cmd/$*

setup: ## install what tests, linters and benchmarks need (Debian packages, if any is missing)
	@t/setup.sh test lint bench

setup-%:
	@t/setup.sh $*

demo: setup-demo build ## Alice and Bob pair and synchronise through a switchboard on loopback
	@t/demo.sh

cluster-demo: setup-demo build bin/aig-test-nats ## three switchboards behind one name, and pairs joined across them, on loopback
	@t/cluster-demo.sh

record: setup-demo build ## record `make demo` as an animation, docs/demo.svg
	t/demo.sh >bin/demo.txt
	go run ./t/record <bin/demo.txt >docs/demo.svg

test: setup-test build $(HELPERS:%=bin/%) ## run every test; GIT=<prefix> for another git than PATH's
	@t/test.sh $(MAKE) --no-print-directory

# Four packages at a time, since these tests too mostly wait.
test-go:
	go test -race -p 4 -timeout 20m ./...
	go test -C t/bench -race -timeout 20m ./...
	go test -C t/dist -timeout 20m ./...

# They mostly wait. The longest, which have the highest numbers, start first.
test-t:
	cd t && prove --timer -j4 $$(ls -r t[0-9]*.sh) :: --chain-lint

test-git: setup-test build $(HELPERS:%=bin/%) ## the tests of what depends most on git; GIT=<prefix> for another git than PATH's
	go test -race -timeout 20m -count=1 ./internal/git/... ./internal/objects/... ./internal/intake/... ./internal/refs/... ./internal/branches/... ./internal/remotehelper/...
	cd t && prove --timer t3000-*.sh :: --chain-lint

test-packages: build ## `make dist` is reproducible byte for byte, and its packages install in a fresh Debian
	AIG_DIST=all go test -C t/dist -count=1 -timeout 60m ./...
	@t/packages.sh
	cd t && prove t4000-completion.sh :: --chain-lint

test-platforms: setup-test ## the tests with 32 bits, and a sync with arm64 under qemu-user; docs/platforms.md has the results
	@t/platforms.sh 386 arm64

fuzz: setup-test ## every fuzz target for ten minutes each; FUZZTIME=<time> changes that, FUZZ=<regexp> selects some
	@t/fuzz.sh

torture: setup-test build $(HELPERS:%=bin/%) ## the torture tests in their long form: about 40 minutes; TORTURE=<regexp> selects some
	@t/torture.sh

bench: setup-bench build $(HELPERS:%=bin/%) ## aig compared with git fetch, clone and rsync; BENCH=-quick for a short run, REPO=<path> for a real history
	go build -C t/bench -o ../../bin/aig-bench .
	bin/aig-bench $(BENCH)

bench-switchboard: setup-bench build bin/aig-test-nats ## one switchboard, several, and sshd instead: bytes, links and memory
	go build -C t/bench -o ../../bin/aig-bench-switchboard ./switchboard
	bin/aig-bench-switchboard $(BENCH)

lint: setup-lint ## gofmt, vet, staticcheck, shellcheck, mandoc
	@t/lint.sh

install: build ## install programs, manuals and completions where git and the shells find them
	install -d '$(DESTDIR)$(bindir)'
	install -m 0755 $(COMMANDS:%=bin/%) '$(DESTDIR)$(bindir)'
	for section in $(sort $(subst .,,$(suffix $(wildcard docs/man/*)))); do \
		install -d '$(DESTDIR)$(mandir)'/man$$section && \
		install -m 0644 docs/man/*.$$section '$(DESTDIR)$(mandir)'/man$$section || exit; \
	done
	install -D -m 0644 docs/completion/git-aig-sync.bash '$(DESTDIR)$(datadir)/bash-completion/completions/git-aig-sync'
	install -D -m 0644 docs/completion/_git-aig-sync '$(DESTDIR)$(datadir)/zsh/site-functions/_git-aig-sync'
	install -D -m 0644 docs/completion/git-aig-sync.fish '$(DESTDIR)$(datadir)/fish/vendor_completions.d/git-aig-sync.fish'
	install -D -m 0644 docs/completion/conf.fish '$(DESTDIR)$(datadir)/fish/vendor_conf.d/git-aig-sync.fish'

dist: ## archives, packages and checksums of HEAD into dist/, for every system; TARGETS=linux/amd64,… for some
	go run -C t/dist . $(if $(TARGETS),-targets $(TARGETS))

clean: ## remove what was built
	rm -rf bin dist fuzz torture t/'trash directory'.* t/test-results
