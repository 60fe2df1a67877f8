#!/bin/sh
# Installs the Debian packages of HEAD in a fresh bookworm, uses them there as people would, and checks that removing them leaves nothing
# behind. Prints what it does. Without such a system (no root, no mirror, no mounts), it says so, and tests nothing.

set -eu
cd "$(dirname "$0")/.."
work=$(mktemp -d)
root=$work/root
end () {
	umount "$root/proc" 2>/dev/null || :
	rm -rf --one-file-system "$work"
}
trap end EXIT
trap 'exit 130' INT TERM

skip () { # <reason>
	echo "1 tests skipped: $1"
	exit 0
}

test "$(id -u)" = 0 || skip "a chroot needs root"
t/setup.sh packages || skip "debootstrap can't be installed"
go run -C t/dist . -o "$work/dist" -targets "linux/$(go env GOARCH)" >/dev/null
debootstrap --variant=minbase --include=git,openssh-client,man-db,bash-completion,systemd \
	bookworm "$root" >"$work/log" 2>&1 || skip "debootstrap made no system: $(tail -n 1 "$work/log")"
mount -t proc proc "$root/proc" || skip "nothing can be mounted"
# Nothing more is downloaded: what the packages need is installed.
cp "$work"/dist/*.deb "$root/tmp/"

inside () { # <shell commands>: prints them, and runs them in the chroot
	echo "\$ $1"
	chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 MANPAGER=cat \
		bash -euc "$1" </dev/null
	echo
}

# Packages may leave behind dpkg's and apt's records, caches, logs, and what a boot clears.
list () {
	(cd "$root" && find . -xdev \( -path ./proc -o -path ./tmp -o -path ./root -o -path './var/lib/dpkg' -o -path './var/lib/apt' \
		-o -path './var/cache' -o -path ./run -o -path './var/log' \) -prune -o -print | sort)
}

list >"$work/before"
inside 'apt-get install -qq -y /tmp/aig*.deb 2>/dev/null | grep "Setting up aig"'
inside 'git aig-sync -h | head -n 3'
inside 'git aig-sync --version && git-remote-aig --version && aig-switchboard --version'
inside 'git help aig-sync | sed -n "s/ *$//; 1,/^DESCRIPTION/p"'
inside 'man -w git-remote-aig aig-switchboard'
inside 'set +eu
	. /usr/share/bash-completion/bash_completion
	_completion_loader git
	COMP_WORDS=(git aig-sync --tr) COMP_CWORD=2 COMP_LINE="git aig-sync --tr" COMP_POINT=17
	__git_wrap__git_main
	printf "%s\n" "${COMPREPLY[@]}" | grep -x -e --trust='
inside 'cd /root
	for who in alice bob; do
		git init -q $who && ssh-keygen -q -t ed25519 -N "" -f $who.key
		git -C $who -c user.name=$who -c user.email=$who@example.com commit -q --allow-empty -m "a commit of $who"
	done
	cat >peer <<-SH
		#!/bin/sh
		exec git -C /root/bob aig-sync --identity /root/bob.key --trust $(git aig-sync --identity alice.key --fingerprint) -
	SH
	chmod +x peer
	trust=$(git aig-sync --identity bob.key --fingerprint)
	git -C alice aig-sync --identity /root/alice.key --trust "$trust" /root/peer 2>/dev/null
	git -C alice cat-file -t "$(git -C bob rev-parse HEAD)"'
inside 'aig-switchboard --listen 127.0.0.1:0 --host-key /root/host_key 2>/root/log &
	until grep -q listening /root/log; do sleep 0.1; done
	kill -TERM $!
	wait $! && grep -o "msg=listening" /root/log'
inside 'systemd-socket-activate -l 127.0.0.1:2222 aig-switchboard --host-key /root/host_key 2>/dev/null &
	until ssh-keyscan -p 2222 127.0.0.1 2>/dev/null | grep -q .; do sleep 0.1; done
	ssh -F none -p 2222 -o StrictHostKeyChecking=no 127.0.0.1 nonsense 2>&1 | tail -n 1
	kill -TERM $!; wait $!'
inside 'systemd-analyze verify aig-switchboard.service aig-switchboard.socket'
inside 'systemd-analyze security --offline=true --threshold=20 aig-switchboard.service | tail -n 1'
inside 'grep -q "^OPTIONS=" /etc/default/aig-switchboard && dpkg-query -W -f "\${Package} \${Version} \${Status}\n" aig aig-switchboard'
inside 'dpkg --purge aig aig-switchboard 2>&1 | grep -v "Reading database"'
list >"$work/after"
diff "$work/before" "$work/after" || {
	echo "fatal: the packages left something behind, or removed something else" >&2
	exit 1
}

# The RPM packages hold the same, but there is no RPM system here: rpm only unpacks and removes them.
rpms=$work/rpms
mkdir "$rpms"
as_rpm () {
	rpm --root "$rpms" --dbpath /db "$@" 2>/dev/null
}
as_rpm --initdb
as_rpm -i --nodeps --noscripts "$work"/dist/*.rpm
"$rpms/usr/bin/git-aig-sync" --version
as_rpm -q aig aig-switchboard
as_rpm -V --nodeps --noscripts aig aig-switchboard
as_rpm -e --noscripts aig aig-switchboard
rest=$(cd "$rpms" && find usr -name '*aig*')
test -z "$rest" || {
	echo "fatal: the RPM packages left behind: $rest" >&2
	exit 1
}
echo "2 passed, 0 failed"
