#!/bin/sh

test_description='a remote gives transport, trust and identity; who may start a shell'

. /usr/share/sharness/sharness.sh
. "$SHARNESS_TEST_SRCDIR/lib-switchboard.sh"
. "$SHARNESS_TEST_SRCDIR/lib-aig.sh"

# Bob with the key of that name, who trusts what "$PWD/trusted" says, with his standard error in bob.err.
bob () {
	cat >"$1.sh" <<-EOF
		cd '$PWD/bob/repo' && HOME='$PWD/bob' AIG_IDENTITY='$PWD/bob/$1' AIG_TRUST=\$(cat '$PWD/trusted') exec git aig-sync --summary - 2>'$PWD/bob.err'
	EOF
	printf "sh '%s'" "$PWD/$1.sh"
}

alice () {
	as alice "$@" >alice.out 2>alice.err
	echo $? >alice.status
}

# trusts, distrusts <command>...: Alice accepts Bob's key, or refuses it.
trusts () {
	commit bob "news" && alice "$@" && ok && objects bob >bob.has && objects alice >alice.has &&
	comm -23 bob.has alice.has >lacks && test_must_be_empty lacks
}

distrusts () {
	commit bob "news" && objects alice >alice.had && alice "$@" &&
	echo 128 >expect && test_cmp expect alice.status && grep "^fatal: .*is $(fp bob/one), which is not trusted" alice.err &&
	objects alice >alice.has && test_cmp alice.had alice.has
}

remote () {
	as alice git config "$@"
}

test_expect_success 'Alice, and Bob with two keys' '
	person alice && person bob && commit alice "of Alice" && commit bob "of Bob" &&
	for key in one two
	do
		ssh-keygen -q -t ed25519 -N "" -f bob/$key && ssh-keygen -q -t ed25519 -N "" -f alice/$key || return 1
	done &&
	one=$(fp bob/one) && two=$(fp bob/two) &&
	fingerprint alice >trusted &&
	remote remote.bob.url "aig::$(bob one)" && remote remote.bob.fetch "+refs/heads/*:refs/remotes/bob/*"
'

test_expect_success 'trust of the remote, for git fetch and for git aig-sync' '
	remote remote.bob.aigTrust "$one" &&
	trusts git fetch bob && trusts git aig-sync bob && alice git ls-remote bob && ok &&
	remote remote.bob.aigTrust "$two" &&
	distrusts git fetch bob && distrusts git aig-sync bob && distrusts git ls-remote bob
'

test_expect_success 'aigTrust has as many values as are given' '
	remote --add remote.bob.aigTrust "$one" &&
	trusts git fetch bob && trusts git aig-sync bob &&
	remote --unset-all remote.bob.aigTrust
'

test_expect_success 'a remote has its own trust or none: neither the environment nor aig.trust replaces it, only the option' '
	remote remote.bob.aigTrust "$one" && remote aig.trust "$two" &&
	for command in "git fetch" "git aig-sync"
	do
		trusts $command bob && trusts env AIG_TRUST="$two" TRUST="$two" $command bob || return 1
	done &&
	trusts git aig-sync --trust "$one" bob && distrusts git aig-sync --trust "$two" bob &&
	remote remote.bob.aigTrust "$two" && remote aig.trust "$one" &&
	for command in "git fetch" "git aig-sync"
	do
		distrusts $command bob && distrusts env AIG_TRUST="$one" $command bob || return 1
	done &&
	trusts git aig-sync --trust "$one" bob
'

# refused <line to type> <command>...: nothing was run, and the refusal says what to type, with that value.
refused () {
	line=$1 && shift && rm -f was.run && alice "$@" && test "$(cat alice.status)" != 0 &&
	test ! -e was.run && grep "^fatal: no peer.s key is trusted" alice.err && grep -F -e "$line" alice.err
}

test_expect_success 'without trust of its own nothing of a remote is run, and the refusal says which line to type' '
	remote remote.bob.aigTrust "" && remote aig.trust "$one" && remote protocol.aig.allow always &&
	remote remote.run.url "aig::touch \"$PWD/was.run\"" && as alice git config --global remote.run.aigTrust "$one" &&
	for command in "git fetch" "git aig-sync" "git ls-remote" "git pull" "git remote update" "git fetch --multiple"
	do
		refused "git config remote.run.aigTrust $one" env AIG_TRUST="$one" $command run &&
		grep -F "was.run" alice.err || return 1
	done &&
	refused "git config remote.bob.aigTrust $one" git fetch bob &&
	remote --unset aig.trust && refused "git config remote.bob.aigTrust" git fetch bob &&
	grep -x "AIG_TRUST=$(fp alice/.ssh/id_ed25519)" alice.err &&
	as alice git config --global --unset remote.run.aigTrust && remote --unset protocol.aig.allow &&
	as alice sh -c "$(sed -n "s|.*type: \(git config remote.bob.aigTrust\) .*|\1 $one|p" alice.err)" &&
	trusts git fetch bob &&
	remote --unset-all remote.bob.aigTrust
'

test_expect_success 'trust of all remotes: AIG_TRUST before TRUST before aig.trust, of which the narrowest scope counts' '
	as alice git config --global aig.trust "$two" && remote aig.trust "$one" && trusts git aig-sync "$(bob one)" &&
	remote aig.trust "" && alice git aig-sync "$(bob one)" && grep "^fatal: no peer.s key is trusted" alice.err &&
	trusts env TRUST="$one" git aig-sync "$(bob one)" && trusts env AIG_TRUST="$one" TRUST="$two" git aig-sync "$(bob one)" &&
	distrusts env AIG_TRUST="$two" TRUST="$one" git aig-sync "$(bob one)" &&
	alice env AIG_TRUST= TRUST="$one" git aig-sync "$(bob one)" && grep "^fatal: no peer.s key is trusted" alice.err &&
	remote --add aig.trust "$one" && trusts git aig-sync "$(bob one)" &&
	remote --unset-all aig.trust && distrusts git aig-sync "$(bob one)" &&
	as alice git config --global --unset aig.trust
'

test_expect_success 'the trust of a remote is for its name: the same address by itself does not have it' '
	remote remote.bob.aigTrust "$one" && commit bob "news" &&
	alice git fetch "aig::$(bob one)" && echo 128 >expect && test_cmp expect alice.status &&
	grep "^fatal: no peer.s key is trusted" alice.err &&
	alice git aig-sync "$(bob one)" && test_cmp expect alice.status && grep "^fatal: no peer.s key is trusted" alice.err &&
	remote aig.trust "$two" && distrusts env TRUST="$two" git fetch "aig::$(bob one)" && distrusts git aig-sync "$(bob one)" &&
	trusts git fetch bob &&
	remote --unset aig.trust
'

test_expect_success 'aig.trust alone is not enough for an address, unless the user has allowed such addresses' '
	as alice git config --global aig.trust "$one" && commit bob "news" && run="aig::touch \"$PWD/was.run\"" &&
	for how in "git" "git -c protocol.allow=always"
	do
		alice $how fetch "$run" && echo 128 >expect && test_cmp expect alice.status && test ! -e was.run &&
		grep "^fatal: aig.trust alone .*AIG_TRUST=$one.* git config --global protocol.aig.allow user" alice.err || return 1
	done &&
	trusts env AIG_TRUST="$one" git fetch "aig::$(bob one)" && trusts git -c aig.trust="$one" fetch "aig::$(bob one)" &&
	for allowed in "git -c protocol.aig.allow=user" "git -c protocol.aig.allow=always" "env GIT_ALLOW_PROTOCOL=file:aig git"
	do
		trusts $allowed fetch "aig::$(bob one)" || return 1
	done &&
	rm -rf clone && alice git clone -q "$run" "$PWD/clone" && grep "^fatal: aig.trust alone" alice.err && test ! -e was.run &&
	as alice git config --global protocol.aig.allow user && alice git clone -q "aig::$(bob one)" "$PWD/clone" && ok &&
	rm alice/.gitconfig
'

test_expect_success 'a clone has no remote yet: trust comes from elsewhere, or with -c' '
	rm -rf clone && alice git clone -q "aig::$(bob one)" "$PWD/clone" && grep "^fatal: no peer.s key is trusted" alice.err &&
	alice git clone -q -c remote.origin.aigTrust="$one" "aig::$(bob one)" "$PWD/clone" && ok &&
	(HOME=$PWD/alice && export HOME && git -C clone fetch) &&
	rm -rf clone && alice env TRUST="$one" git clone -q -o peer "aig::$(bob one)" "$PWD/clone" && ok
'

test_expect_success 'trust that is no fingerprint is refused before the transport starts' '
	remote remote.bad.url "aig::touch \"$PWD/was.run\"" && remote remote.bad.aigTrust nonsense &&
	alice git fetch bad && echo 128 >expect && test_cmp expect alice.status && grep "^fatal: .*nonsense" alice.err &&
	alice git aig-sync bad && test_cmp expect alice.status && grep "^fatal: .*nonsense" alice.err &&
	test ! -e was.run
'

test_expect_success 'identity: the remote beats the environment, which beats aig.identity; the option beats all' '
	remote remote.bob.aigTrust "$one" &&
	remote remote.bob.aigIdentity "~/one" && remote aig.identity "~/two" && fp alice/one >trusted &&
	trusts git fetch bob && trusts git aig-sync bob && alice git ls-remote bob && ok &&
	AIG_IDENTITY=$PWD/alice/two && export AIG_IDENTITY &&
	trusts git fetch bob && trusts git aig-sync bob &&
	fp alice/.ssh/id_ed25519 >trusted && trusts git aig-sync --identity "$PWD/alice/.ssh/id_ed25519" bob &&
	remote --unset remote.bob.aigIdentity && remote aig.identity "~/one" && fp alice/two >trusted &&
	trusts git fetch bob && trusts git aig-sync bob &&
	unset AIG_IDENTITY && fp alice/one >trusted && trusts git fetch bob && trusts git aig-sync bob &&
	remote --unset aig.identity && fingerprint alice >trusted && trusts git fetch bob && trusts git aig-sync bob
'

test_expect_success 'git aig-sync with a remote gives too, and its options work' '
	commit alice "for Bob" && alice git aig-sync --summary bob && ok && tail -n 1 alice.out >last && echo . >expect &&
	test_cmp expect last && same_stores &&
	commit alice "not for Bob" && commit bob "for Alice" && alice git aig-sync --pull --summary bob && ok && grep -x "> 0" alice.out &&
	grep -x "< 3" alice.out && alice git aig-sync --summary -- bob && ok && grep -x "> 3" alice.out && same_stores
'

test_expect_success 'only the name of a remote with an address aig:: stands for a transport; a word that is neither that nor a program is not run' '
	remote remote.plain.url "$PWD/bob/repo" && remote remote.true.url "file:///nowhere" &&
	alice env TRUST="$one" git aig-sync true && echo 128 >expect && test_cmp expect alice.status &&
	grep "^fatal: the transport ended before a peer came" alice.err &&
	for name in plain bbo
	do
		alice env TRUST="$one" git aig-sync $name && test_cmp expect alice.status &&
		grep "^fatal: there is no remote \"$name\" whose address begins with aig::, and no program" alice.err &&
		test_must_fail grep transport: alice.err || return 1
	done
'

test_expect_success 'the transport of a remote runs without git variables of ours' '
	remote remote.where.url "aig::env >\"$PWD/variables\"" && remote remote.where.aigTrust "$one" && echo 128 >expect &&
	for command in aig-sync fetch
	do
		rm -f variables &&
		alice env GIT_DIR=.git GIT_WORK_TREE=. GIT_PREFIX=x git $command where && test_cmp expect alice.status &&
		test -s variables && test_must_fail grep -e "^GIT_DIR=" -e "^GIT_WORK_TREE=" -e "^GIT_PREFIX" variables || return 1
	done
'

test_expect_success 'a remote of any name' '
	for name in home.bob "bob at work" Bob/2
	do
		remote "remote.$name.url" "aig::$(bob one)" && remote "remote.$name.aigTrust" "$one" &&
		trusts git fetch "$name" && trusts git aig-sync "$name" || return 1
	done
'

test_expect_success 'of several addresses, git fetch and git aig-sync take the same one' '
	remote remote.many.url "aig::$(bob one)" && remote --add remote.many.url "aig::exit 9" && remote remote.many.aigTrust "$one" &&
	trusts git fetch many "+refs/heads/*:refs/many/*" && trusts git aig-sync many
'

test_expect_success 'an abbreviated address' '
	remote "url.aig::$(bob one).insteadOf" "bob:" && remote remote.short.url "bob:" && remote remote.short.aigTrust "$one" &&
	trusts git fetch short "+refs/heads/*:refs/many/*" && trusts git aig-sync short
'

# Who may start a shell.

test_expect_success 'GIT_PROTOCOL_FROM_USER=0: refused, whatever the configuration allows' '
	for value in 0 false no off ""
	do
		for allow in protocol.allow=always protocol.aig.allow=always protocol.allow=user
		do
			alice env TRUST="$one" GIT_PROTOCOL_FROM_USER="$value" \
				git -c $allow fetch "aig::touch \"$PWD/was.run\"" &&
			echo 128 >expect && test_cmp expect alice.status && grep "^fatal: " alice.err && test ! -e was.run || return 1
		done &&
		alice env TRUST="$one" GIT_PROTOCOL_FROM_USER="$value" git-remote-aig origin "touch \"$PWD/was.run\"" </dev/null &&
		test_cmp expect alice.status && grep "^fatal: .*GIT_PROTOCOL_FROM_USER" alice.err && test ! -e was.run || return 1
	done
'

test_expect_success 'GIT_PROTOCOL_FROM_USER=1, or none, is a user who asks' '
	remote remote.bob.aigTrust "$one" && trusts env GIT_PROTOCOL_FROM_USER=1 git fetch bob &&
	trusts env GIT_PROTOCOL_FROM_USER=true git -c protocol.allow=always fetch bob && trusts git -c protocol.allow=user fetch bob
'

test_expect_success 'protocol.aig.allow=never, and GIT_ALLOW_PROTOCOL without aig: git does not even start the helper' '
	for how in "git -c protocol.aig.allow=never" "git -c protocol.allow=never" "env GIT_ALLOW_PROTOCOL=https:ssh git"
	do
		alice env TRUST="$one" $how fetch "aig::touch \"$PWD/was.run\"" && echo 128 >expect && test_cmp expect alice.status &&
		grep "transport .aig. not allowed" alice.err && test ! -e was.run || return 1
	done
'

# hostile <repository>: one with a submodule whose address was written by a stranger.
hostile () {
	git init -q "$1" &&
	git -C "$1" config --file .gitmodules submodule.evil.path evil &&
	git -C "$1" config --file .gitmodules submodule.evil.url "aig::touch \"$PWD/was.run\"" &&
	git -C "$1" add .gitmodules &&
	git -C "$1" update-index --add --cacheinfo "160000,$(as alice git rev-parse HEAD),evil" &&
	git -C "$1" commit -q -m hostile
}

test_expect_success 'a hostile .gitmodules: a recursive clone runs nothing, whatever is allowed' '
	hostile hostile && evil=$(git -C hostile config --file .gitmodules submodule.evil.url) &&
	alice env TRUST="$one" git ls-remote "$evil" && test -e was.run && rm was.run &&
	for allow in protocol.allow=always protocol.aig.allow=always protocol.allow=user core.bare=false
	do
		rm -rf clone && alice env TRUST="$one" git -c $allow clone --recurse-submodules "$PWD/hostile" "$PWD/clone" &&
		test "$(cat alice.status)" != 0 && grep "Cloning into.*evil" alice.err && test ! -e was.run &&
		case $allow in
		*=always) grep "^fatal: refused to start a shell .*GIT_PROTOCOL_FROM_USER" alice.err ;;
		*) grep "transport .aig. not allowed" alice.err ;;
		esac || return 1
	done
'

test_expect_success 'the same by aig, and with submodule update, fetch and pull' '
	git init -q --bare hostile.git && git -C hostile push -q "$PWD/hostile.git" HEAD:refs/heads/main &&
	git -C hostile.git symbolic-ref HEAD refs/heads/main &&
	cat >peer <<-EOF &&
		cd '"'$PWD/hostile.git'"' && HOME='"'$PWD/bob'"' AIG_IDENTITY='"'$PWD/bob/one'"' AIG_TRUST=$(cat trusted) exec git aig-sync -q -
	EOF
	rm -rf clone && alice env TRUST="$one" git -c protocol.allow=always clone --recurse-submodules "aig::sh \"$PWD/peer\"" "$PWD/clone" &&
	test "$(cat alice.status)" != 0 && grep "submodule.*evil" alice.err &&
	git -C clone rev-parse HEAD >actual && git -C hostile rev-parse HEAD >expect && test_cmp expect actual &&
	git -C clone config remote.origin.aigTrust "$one" &&
	for command in "submodule update --init" "submodule update --init --remote" "fetch --recurse-submodules=yes" "pull --recurse-submodules"
	do
		alice env TRUST="$one" git -C "$PWD/clone" -c protocol.allow=always $command
		test ! -e was.run || return 1
	done &&
	grep "aig::touch" clone/.git/config && test ! -e was.run
'

# moved <address>: an upstream whose submodule moves to that address, and an older clone of Alice's, in which she has run submodule sync.
moved () {
	rm -rf lib super clone && git init -q lib && git -C lib commit -q --allow-empty -m lib &&
	git init -q super && git -C super -c protocol.file.allow=always submodule --quiet add "$PWD/lib" lib && git -C super commit -q -m lib &&
	HOME=$PWD/alice git -c protocol.file.allow=always clone -q --recurse-submodules "$PWD/super" clone &&
	git -C super config --file .gitmodules submodule.lib.url "$1" && git -C super commit -q -a -m moved &&
	git -C lib commit -q --allow-empty -m more && git -C super/lib fetch -q "$PWD/lib" && git -C super/lib checkout -q FETCH_HEAD &&
	as alice git -C "$PWD/clone" pull -q --ff-only --no-recurse-submodules && as alice git -C "$PWD/clone" submodule -q sync &&
	git -C super commit -q -a -m "more of lib"
}

test_expect_success 'an address that a submodule moves to is not run, whatever the command and whoever is trusted' '
	as alice git config --global aig.trust "$one" && as alice git config --global remote.origin.aigTrust "$one" &&
	moved "aig::touch \"$PWD/was.run\"" && git -C clone/lib config remote.origin.url | grep "^aig::" &&
	for allow in protocol.allow=always protocol.aig.allow=always remote.origin.aigTrust="$one"
	do
		for command in "pull --ff-only" "fetch --recurse-submodules=yes" "submodule update --remote" "fetch --all --recurse-submodules" \
			"submodule foreach git fetch" "-C lib ls-remote" "-C lib aig-sync origin" "-C lib remote update" "-C lib pull" "-C lib push origin HEAD" \
			"-C lib archive --remote=origin HEAD" "remote -v update" "-C lib fetch"
		do
			alice env AIG_TRUST="$one" TRUST="$one" git -c $allow -C "$PWD/clone" $command
			test ! -e was.run || return 1
		done || return 1
	done &&
	grep "git config remote.origin.aigTrust" alice.err
'

test_expect_success 'nor is one whose address is relative to an address of ours, or abbreviated' '
	for url in "../;touch was.run;x" "peer:touch was.run"
	do
		moved "$url" && git -C clone config remote.origin.url "aig::$(bob one)" &&
		git -C clone config remote.origin.aigTrust "$one" && as alice git config --global url.aig::.insteadOf peer: &&
		as alice git -C "$PWD/clone" submodule -q sync && git -C clone/lib remote get-url origin | grep "touch was.run" &&
		for command in "fetch --recurse-submodules=yes" "-C lib fetch" "-C lib aig-sync origin" "submodule update --remote"
		do
			alice env AIG_TRUST="$one" TRUST="$one" git -c protocol.aig.allow=always -C "$PWD/clone" $command
			test -z "$(find . -name was.run)" || return 1
		done || return 1
	done
'

test_expect_success 'a submodule is run with trust of its own, in a worktree as well' '
	peer=$(bob one) && git -C clone/lib config remote.origin.url "aig::$peer" && git -C clone/lib config remote.origin.aigTrust "$one" &&
	alice git -C "$PWD/clone/lib" ls-remote && ok && grep refs/heads alice.out &&
	git -C clone/lib worktree add -q ../../libtree && alice git -C "$PWD/libtree" ls-remote && ok && grep refs/heads alice.out &&
	alice env AIG_TRUST="$one" git -C "$PWD/libtree" ls-remote "aig::$peer" && grep "^fatal: in a submodule.s repository" alice.err
'

test_done
