#!/bin/sh

test_description='after a sync, how the peer compares, and what takes its branches: for a person, for scripts, and nothing is written'

. /usr/share/sharness/sharness.sh
. "$SHARNESS_TEST_SRCDIR/lib-switchboard.sh"
. "$SHARNESS_TEST_SRCDIR/lib-aig.sh"

# Alice and Bob have the same branch main.
fresh () {
	rm -rf alice/repo bob/repo alice/tree && git init -q -b main "$@" bob/repo &&
	write bob file base && save bob base && git clone -q bob/repo alice/repo && git -C alice/repo remote remove origin &&
	base=$(of bob HEAD)
}

# write <name> <file> <text>; save <name> <message>: commits everything there.
write () {
	echo "$3" >"$1/repo/$2"
}

save () {
	as "$1" git add -A && as "$1" git commit -q -m "$2"
}

# grow <name> <n> [<file>]: makes n more commits.
grow () {
	grow_i=0
	while test "$grow_i" -lt "$2"
	do
		grow_i=$((grow_i + 1))
		write "$1" "${3:-of-$1}" "$grow_i" && save "$1" "$grow_i" || return 1
	done
}

of () {
	git -C "$1/repo" rev-parse "$2"
}

short () {
	printf "%.8s…" "$1"
}

# sync [<option>...]: Alice and Bob synchronise. Nothing but objects changes on either side. What Alice is told of Bob is
# in "told": standard error without what her transport said.
sync () {
	outside alice >alice.before && outside bob >bob.before && index_of alice >alice.index && index_of bob >bob.index &&
	sync_local "$PWD/alice/repo" "$PWD/bob/repo" --summary "$@" &&
	outside alice >alice.after && outside bob >bob.after &&
	test_cmp alice.before alice.after && test_cmp bob.before bob.after &&
	index_of alice >alice.after && test_cmp alice.index alice.after && index_of bob >bob.after && test_cmp bob.index bob.after &&
	heard
}

# What Alice is told, without what her transport said.
heard () {
	sed "/^transport: /d" alice.err >told && shown <told
}

# The working tree's files and what they hold.
index_of () {
	(cd "$1/repo" && find . -path ./.git -prune -o -type f -exec sha256sum {} + | sort)
}

# Whatever Alice was told, her terminal gets no control character from it.
shown () {
	LC_ALL=C tr -d "\n\040-\176\200-\377" >controls && test_must_be_empty controls
}

# tells <text>: Alice was told exactly this, apart from what is said of the newest commits.
tells () {
	printf "%b" "$1" >expect && sed "s/; \".*\", A U Thor, .* ago\$//; /^    (only one of you should merge/d" told >plain && test_cmp expect plain
}

# The suggested commands that Alice was told, one by one, as a person would type them.
suggested () {
	sed -n "s/^    \(git .*\)/\1/p" told
}

do_it () {
	suggested >commands && test -s commands || return 1
	if ! as alice sh -e "$PWD/commands" >done.out 2>&1
	then
		cat commands done.out
		return 1
	fi
}

is_at () { # <rev of Alice> <commit>
	test "$(of alice "$1")" = "$2"
}

test_expect_success 'Alice and Bob' '
	person alice && person bob && git config --global init.defaultBranch main
'

for format in sha1 sha256
do
	test_expect_success "the same: up to date ($format)" '
		fresh --object-format=$format && sync && tells "main  $(short $base)  up to date\n"
	'

	test_expect_success "ahead: fast-forward, and the command does it ($format)" '
		grow bob 3 && tip=$(of bob main) && sync &&
		tells "main  $(short $tip)  fast-forward: 3 commits ahead of yours\n    git merge --ff-only $tip\n" &&
		do_it && is_at main $tip && cmp alice/repo/of-bob bob/repo/of-bob &&
		sync && tells "main  $(short $tip)  up to date\n"
	'
done

test_expect_success 'one commit is one commit; a branch that is not checked out; HEAD detached; bare; another worktree' '
	fresh && grow bob 1 && tip=$(of bob main) && as alice git switch -q -c other && sync &&
	tells "main  $(short $tip)  fast-forward: 1 commit ahead of yours\n    git fetch . $tip:refs/heads/main\n" &&
	do_it && is_at main $tip && is_at other $base &&
	fresh && grow bob 1 && tip=$(of bob main) && as alice git switch -q --detach && sync && do_it && is_at main $tip && is_at HEAD $base &&
	fresh && grow bob 1 && tip=$(of bob main) && as alice git config core.bare true && sync && do_it && is_at main $tip &&
	fresh && grow bob 1 && tip=$(of bob main) && as alice git switch -q -c other &&
	as alice git worktree add -q "../it is; touch pwned; \$(touch pwned)" main && sync && do_it && is_at main $tip &&
	cmp "alice/it is; touch pwned; \$(touch pwned)/of-bob" bob/repo/of-bob && find . -name pwned >ran && test_must_be_empty ran &&
	rm -rf alice/it*
'

test_expect_success 'behind: nothing to take' '
	fresh && grow alice 2 && sync && tells "main  $(short $base)  behind yours by 2\n"
'

test_expect_success 'diverged: requires merge, and the command merges' '
	fresh && grow alice 2 && grow bob 3 && ours=$(of alice main) && tip=$(of bob main) && sync &&
	tells "main  $(short $tip)  requires merge: 2 yours, 3 theirs\n    git merge $tip\n" &&
	GIT_MERGE_AUTOEDIT=no && export GIT_MERGE_AUTOEDIT && do_it && is_at main^1 $ours && is_at main^2 $tip &&
	sync && tells "main  $(short $tip)  behind yours by 3\n"
'

test_expect_success 'diverged but not checked out: switched to, or kept beside if there is nowhere to merge' '
	fresh && grow alice 2 && grow bob 1 && ours=$(of alice main) && tip=$(of bob main) && as alice git switch -q -c other && sync &&
	do_it && is_at main^1 $ours && is_at main^2 $tip && is_at other $ours &&
	fresh && grow alice 2 && grow bob 1 && ours=$(of alice main) && tip=$(of bob main) && as alice git switch -q --detach && sync &&
	do_it && is_at main $ours && is_at "from-peer-$(printf %.12s $tip)" $tip
'

test_expect_success 'an octopus that holds ours is a fast-forward, and one that does not requires a merge' '
	fresh && for i in 1 2 3
	do
		as bob git switch -q -c side$i main && grow bob $i side$i || return 1
	done &&
	as bob git switch -q main && as bob git merge -q --no-ff -m octopus side1 side2 side3 && tip=$(of bob main) &&
	test "$(git -C bob/repo rev-list --parents -n 1 main | wc -w)" = 5 &&
	as bob git branch -q -D side1 side2 side3 && sync &&
	tells "main  $(short $tip)  fast-forward: 7 commits ahead of yours\n    git merge --ff-only $tip\n" &&
	grow alice 1 && sync && tells "main  $(short $tip)  requires merge: 1 yours, 7 theirs\n    git merge $tip\n" &&
	do_it && is_at main^2 $tip
'

test_expect_success 'a criss-cross requires a merge' '
	fresh && grow alice 1 && grow bob 1 && sync && ours=$(of alice main) && theirs=$(of bob main) &&
	as alice git merge -q -m cross $theirs && as bob git merge -q -m cross $ours && tip=$(of bob main) && sync &&
	test "$(git -C alice/repo merge-base --all main $tip | wc -l)" = 2 &&
	tells "main  $(short $tip)  requires merge: 1 yours, 1 theirs\n    git merge $tip\n" && do_it && is_at main^2 $tip
'

test_expect_success 'unrelated histories are kept beside' '
	fresh && ours=$(of alice main) && as bob git switch -q --orphan elsewhere && grow bob 2 && as bob git branch -q -M main &&
	tip=$(of bob main) && sync &&
	tells "main  $(short $tip)  unrelated history\n    git branch from-peer-$(printf %.12s $tip) $tip\n" &&
	do_it && is_at main $ours && is_at "from-peer-$(printf %.12s $tip)" $tip
'

test_expect_success 'new, and what only we have is not shown' '
	fresh && as alice git branch mine && as bob git switch -q -c feature/of-bob && grow bob 1 && tip=$(of bob HEAD) && sync &&
	tells "main            $(short $base)  up to date\nfeature/of-bob  $(short $tip)  new\n    git branch feature/of-bob $tip\n" &&
	do_it && is_at feature/of-bob $tip
'

test_expect_success 'our branch is unborn; theirs is' '
	fresh && rm -rf alice/repo && git init -q -b main alice/repo && sync &&
	tells "main  $(short $base)  new\n    git merge --ff-only $base\n" && do_it && is_at main $base && cmp alice/repo/file bob/repo/file &&
	fresh && rm -rf bob/repo && git init -q -b main bob/repo && sync && test_must_be_empty told
'

test_expect_success 'a peer whose HEAD is detached' '
	fresh && as bob git switch -q --detach && grow bob 1 && tip=$(of bob HEAD) && sync &&
	tells "HEAD (detached)  $(short $tip)  fast-forward: 1 commit ahead of yours\n    git merge --ff-only $tip\nmain             $(short $base)  up to date\n" &&
	do_it && is_at main $tip
'

test_expect_success 'a shallow peer without the rest here: unknown, and why; with the rest it is like any other' '
	fresh && grow bob 3 && tip=$(of bob main) && git clone -q --depth=1 "file://$PWD/bob/repo" bob/cut && rm -rf bob/repo && mv bob/cut bob/repo &&
	sync && grep "^main  $(short $tip)  unknown: its history is incomplete here" told && suggested >commands && test_must_be_empty commands &&
	sync --refs=porcelain && grep "^ref unknown $base $tip - - refs/heads/main$" alice.out && grep "^why .its.x20history.x20is.x20incomplete" alice.out &&
	tip=$(of bob main) && git clone -q --depth=1 "file://$PWD/bob/repo" bob/cut && rm -rf alice/repo && git clone -q bob/repo alice/repo &&
	as alice git remote remove origin && rm -rf bob/repo && mv bob/cut bob/repo && grow bob 1 more && tip=$(of bob main) && sync &&
	tells "main  $(short $tip)  fast-forward: 1 commit ahead of yours\n    git merge --ff-only $tip\n" && do_it && is_at main $tip
'

test_expect_success 'a partial peer, whose files are not here either: the same' '
	fresh && grow bob 2 && as bob git config uploadpack.allowFilter true && tip=$(of bob main) &&
	git clone -q --no-checkout --filter=blob:none "file://$PWD/bob/repo" bob/cut && rm -rf bob/repo && mv bob/cut bob/repo && git -C bob/repo remote remove origin &&
	sync && grep "^main  $(short $tip)  unknown: its history is incomplete here" told && suggested >commands && test_must_be_empty commands
'

# Uncommitted changes.

test_expect_success 'a warning where taking it would touch uncommitted changes, and none where not' '
	fresh && write alice safe 1 && save alice safe && as bob git pull -q --ff-only "$PWD/alice/repo" main &&
	write bob file theirs && write bob new theirs && save bob theirs && tip=$(of bob main) &&
	write alice safe edited && sync &&
	tells "main  $(short $tip)  fast-forward: 1 commit ahead of yours\n    git merge --ff-only $tip\n" &&
	write alice file edited && write alice new "not tracked" && sync &&
	tells "main  $(short $tip)  fast-forward: 1 commit ahead of yours\n    git merge --ff-only $tip\n    warning: it would touch uncommitted changes: file, new\n" &&
	test_must_fail do_it && echo edited >expect && test_cmp expect alice/repo/file &&
	sync --refs=porcelain && sed -n "s/^dirty //p" alice.out >dirty && printf "file\nnew\n" >expect && test_cmp expect dirty
'

# Lost work.

test_expect_success 'dangling tips that came in are shown once, with a command that keeps them' '
	fresh && grow bob 3 lost && lost=$(of bob main) && as bob git reset -q --hard HEAD~3 &&
	write bob file stashed && as bob git stash -q && stash=$(of bob refs/stash) && as bob git stash drop -q && sync &&
	printf "%s\n" "commits that came in and that nothing points to, newest first:" >expect &&
	sed 1d told | head -n 1 >actual && test_cmp expect actual &&
	grep "git branch found-$(printf %.12s $lost) $lost" told && grep "$stash" told && test "$(suggested | wc -l)" = 2 &&
	do_it && is_at "found-$(printf %.12s $lost)" $lost && sync && tells "main  $(short $base)  up to date\n"
'

# Names from elsewhere.

# Names that git takes, and a shell would run.
hostile_names () {
	printf "%s\n" "\$(touch\${IFS}pwned)" "\`touch\${IFS}pwned\`" ";touch\${IFS}pwned;" "it$quote;touch\${IFS}pwned;$quote" "a&touch\${IFS}pwned" \
		"a|touch\${IFS}pwned" "a\"b" "é/日本" "#x" "!x" "{a,b}" "a>pwned" "\$HOME" "refs/heads/x" "%s" "a=b"
}
quote="'"

test_expect_success 'hostile names of branches: quoted where shown, and harmless and right in a command' '
	fresh && hostile_names >names && while read -r name
	do
		as bob git update-ref "refs/heads/$name" main || return 1
	done <names &&
	sync && suggested >commands && test "$(wc -l <commands)" = "$(wc -l <names)" &&
	do_it && find . -name pwned -not -path "*/refs/*" >ran && test_must_be_empty ran &&
	git -C bob/repo for-each-ref refs/heads >expect && git -C alice/repo for-each-ref refs/heads >actual && test_cmp expect actual &&
	sync && test_must_fail grep -v "up to date" told
'

test_expect_success 'names with invisible characters, or that are not UTF-8, are shown escaped, and in no command' '
	fresh && for name in "$(printf "rtl\\342\\200\\256x")" "$(printf "zero\\342\\200\\213x")" "$(printf "c1\\302\\233x")" "$(printf "bad\\377x")"
	do
		as bob git update-ref "refs/heads/$name" main || return 1
	done &&
	sync && suggested >commands && test_must_be_empty commands && test "$(wc -l <told)" = 5 &&
	LC_ALL=C sed "s/$(printf "\\342\\200\\246")//g" told >plain && test_must_fail env LC_ALL=C grep "[^[:print:]]" plain &&
	test_must_fail env LC_ALL=C grep -F -e "$(printf "\\302\\233")" -e "$(printf "\\342\\200\\256")" -e "$(printf "\\377")" told &&
	grep -F "\"rtl\\u202ex\"" told && grep -F "\"c1\\u009bx\"" told && grep -F "\"bad\\xffx\"" told &&
	sync --refs=porcelain && LC_ALL=C tr -d "\n\040-\176" <alice.out >bare && test_must_be_empty bare
'

# For scripts.

test_expect_success '--refs=porcelain: the documented format, on standard output, after the promise' '
	fresh && as alice git branch same && as alice git branch ahead && as alice git branch behind && as bob git fetch -q "$PWD/alice/repo" "refs/heads/*:refs/heads/*" --update-head-ok &&
	as bob git switch -q ahead && grow bob 2 && as alice git switch -q behind && grow alice 2 && as alice git switch -q main && as bob git switch -q main &&
	grow alice 1 && grow bob 3 file &&
	as bob git update-ref "refs/heads/it${quote}s" ahead &&
	as bob git switch -q --orphan other && write bob other 1 && save bob other && as alice git branch other main && as bob git switch -q main &&
	lost=$(as bob git commit-tree -m lost "main^{tree}") && write alice file edited &&
	sync --refs=porcelain && test_must_be_empty told &&
	cat >expect <<-EOF &&
		.
		# aig refs 1
		ref fast-forward $base $(of bob ahead) 0 2 refs/heads/ahead
		ref behind $(of alice behind) $base 2 0 refs/heads/behind
		ref new - $(of bob ahead) - - "refs/heads/it${quote}s"
		ref requires-merge $(of alice main) $(of bob main) 1 3 refs/heads/main
		dirty file
		ref unrelated $(of alice other) $(of bob other) - - refs/heads/other
		ref up-to-date $base $base 0 0 refs/heads/same
		tip $lost
		end
	EOF
	sed -n "/^\.$/,\$p" alice.out >actual && test_cmp expect actual &&
	sync -q --refs=porcelain && sed -e 1d -e "/^tip/d" expect >expect.quiet && test_cmp expect.quiet alice.out && test_must_be_empty told
'

test_expect_success '-q says nothing of it' '
	sync -q && test_must_be_empty told && test_must_be_empty alice.out
'

test_expect_success '--no-refs and aig.refs=false: not shown, and the peer is not told either' '
	fresh && grow bob 1 && sync --no-refs && test_must_be_empty told && test_must_fail grep "main" alice.err &&
	as alice git config aig.refs false && sync && test_must_be_empty told && test_must_fail grep "main" alice.err &&
	sync --refs=porcelain && sed "1,/^\.$/d" alice.out | head -n 1 >actual && echo "# aig refs 1" >expect && test_cmp expect actual &&
	as alice git config --unset aig.refs && as bob git config aig.refs false && sync && test_must_be_empty told &&
	as bob git config --unset aig.refs && sync && test -s told && test_must_fail grep "transport:.*main" alice.err
'

test_expect_success 'what the peer hides is not shown' '
	fresh && as bob git branch secret && as bob git branch open && as bob git config transfer.hideRefs refs/heads/secret && sync &&
	tells "main  $(short $base)  up to date\nopen  $(short $base)  new\n    git branch open $base\n"
'

# walk <command>: Alice synchronises with a git that becomes this command when she has it compare her branch with Bob's. It is
# git-aig-sync itself that is run: git would put its own directory before the other one.
walk () {
	cat >shim/git <<-EOF &&
		#!/bin/sh
		if test "\$1 \$2" = "rev-list --left-right"; then exec $*; fi
		exec "$(command -v git)" "\$@"
	EOF
	chmod +x shim/git &&
	(
		bob="cd '$PWD/bob/repo' && HOME='$PWD/bob' TRUST=$(fingerprint alice) git aig-sync -q -" &&
		HOME=$PWD/alice TRUST=$(fingerprint bob) PATH=$PWD/shim:$PATH && export HOME TRUST PATH &&
		cd alice/repo && git-aig-sync --summary "$bob" 2>../../alice.err
	) && heard
}

test_expect_success 'a git that fails while branches are compared is a warning, but not if Ctrl-C has ended it' '
	fresh && grow alice 1 && grow bob 1 && mkdir shim &&
	walk "env --default-signal=TERM sh -c '\''kill -TERM \$\$'\''" && tells "warning: the peer'\''s branches could not be compared with ours: git rev-list: signal: terminated\n" &&
	walk "env --default-signal=INT sh -c '\''kill -INT \$\$'\''" && test_must_be_empty told
'

test_expect_success 'a comparison that takes too long: what is known is shown, and where to find the rest' '
	fresh && grow alice 1 && grow bob 1 && as bob git commit-tree -m lost "main^{tree}" && walk "sleep 100" &&
	grep "^main  $(short "$(of bob main)")  unknown: comparing it takes longer than 10s (use git fetch and git log)$" told &&
	grep "^warning: commits that came in and that nothing points to are not listed: finding them takes longer than 10s$" told &&
	test_must_fail grep "    git" told
'

test_expect_success 'bad usage' '
	test_expect_code 129 as alice git aig-sync --refs=json true && test_expect_code 129 as alice git aig-sync --no-refs --refs=porcelain true
'

test_expect_success 'both read it over a switchboard' '
	fresh && grow alice 1 && grow bob 2 && start_switchboard && sync_succeeds --summary &&
	grep -v "^transport: " alice.err >told && tells "main  $(short "$(of bob main)")  requires merge: 1 yours, 2 theirs\n    git merge $(of bob main)\n" &&
	grep -v "^transport: " bob.err >told && tells "main  $(short "$(of alice main)")  requires merge: 2 yours, 1 theirs\n    git merge $(of alice main)\n" &&
	same_stores && stop_switchboard
'

test_expect_success 'a branch that brings something is shown with its newest commit, a picked commit under its other name, and that one side merges' '
	fresh && grow alice 1 && grow bob 2 && picked=$(of bob main~1) && tip=$(of bob main) && sync &&
	as alice git cherry-pick "$picked" && sync &&
	printf "%s\n" "main  $(short $tip)  requires merge: 2 yours, 2 theirs (1 of them already among yours under another name); \"2\", A U Thor, AGE" \
		"    git merge $tip" "    (only one of you should merge; the other takes the merge after the next sync)" >expect &&
	sed "s/, [^,]* ago\$/, AGE/" told >actual && test_cmp expect actual &&
	write bob of-bob "foreign subject" && save bob "$(printf "\033[2J %060d" 0)" && sync && head -n 1 told >line &&
	grep "; \"\\\\x1b\[2J 0*\"…, A U Thor, " line
'

test_expect_success 'first what is checked out, then what brings something; no more than fits the screen, unless all is asked for' '
	fresh && for i in $(test_seq 10 50); do as bob git branch "b$i" || return 1; done && as bob git switch -q b30 && grow bob 1 &&
	as alice git branch b10 && sync && head -n 1 told >first && grep "^main  .*up to date" first && sed -n 2p told >second && grep "^b11  .*new" second &&
	tail -n 1 told >last && grep "^b10  .*up to date" last &&
	sync_in_terminal () {
		cat >far.sh <<-SH &&
			cd "$PWD/bob/repo" && HOME="$PWD/bob" AIG_TRUST=$(fingerprint alice) exec git aig-sync -
		SH
		(cd alice/repo && HOME=${PWD%/repo} AIG_TRUST=$(cd ../.. && fingerprint bob) TERM=xterm \
			script -qec "stty rows 24 cols 80; git aig-sync $1 \"sh ../../far.sh\"" /dev/null) </dev/null | tr -d "\r" >screen
	} &&
	sync_in_terminal "" && tail -n 1 screen >last && grep "^… and [0-9]* more (--refs=all)\$" last && test "$(wc -l <screen)" -lt 24 &&
	sync_in_terminal --refs=all && grep "^b50 " screen && test_must_fail grep "more (" screen
'

test_done
