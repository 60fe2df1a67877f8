#!/bin/sh

test_description='completion of git aig-sync in bash, zsh and fish'

. /usr/share/sharness/sharness.sh
. "$SHARNESS_TEST_SRCDIR/lib-switchboard.sh"
. "$SHARNESS_TEST_SRCDIR/lib-aig.sh"

HERE=$SHARNESS_TEST_SRCDIR/../docs/completion
BASH_OF_GIT=/usr/share/bash-completion/completions/git
export HERE BASH_OF_GIT

# Each of these prints, sorted, what its shell offers at the end of a command line.
in_bash () {
	bash -c '
		. "$BASH_OF_GIT" && . "$HERE/git-aig-sync.bash" || exit
		line=$1
		eval "set -- $1\"\"" # the words; the last one may be empty
		COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMP_LINE=$line COMP_POINT=${#line} COMP_TYPE=9
		__git_wrap__git_main
		printf "%s\n" "${COMPREPLY[@]}" | sed "s/ \$//"
	' bash "$1" | sort
}

in_zsh () {
	timeout 60 zsh "$SHARNESS_TEST_SRCDIR/completion.zsh" "$HERE" "$1" | sort
}

in_fish () {
	mkdir -p config/fish/completions config/fish/conf.d &&
	cp "$HERE/git-aig-sync.fish" config/fish/completions/git-aig-sync.fish &&
	cp "$HERE/conf.fish" config/fish/conf.d/git-aig-sync.fish &&
	XDG_CONFIG_HOME=$PWD/config fish -c 'complete -C $argv[1]' "$1" | cut -f 1 | sort
}

test_expect_success 'a repository with a peer, another remote, and a switchboard' '
	git init -q . &&
	git config remote.bob.url "aig::ssh bob git -C src aig-sync -" &&
	git config remote.origin.url https://origin.example/ &&
	git config aig.switchboard "ssh -p 2222 host"
'

# completes <shell>: the same questions for each.
completes () {
	case $1 in
	fish) quoted="ssh -p 2222 host" new=" new" ;;
	*) quoted="ssh\\ -p\\ 2222\\ host" new="\\ new" ;; # as it is typed
	esac &&
	printf "%s\n" accept bob help invite "$quoted$new" >expect &&
	"in_$1" "git aig-sync " >actual &&
	test_cmp expect actual &&
	"in_$1" "git aig-sync --quiet --wait 5m " >actual &&
	test_cmp expect actual &&
	echo bob >expect &&
	"in_$1" "git aig-sync b" >actual &&
	test_cmp expect actual &&
	printf "%s\n" --pull --push >expect &&
	"in_$1" "git aig-sync --pu" >actual &&
	test_cmp expect actual &&
	"in_$1" "git aig-sync bob --pu" >actual &&
	test_cmp expect actual &&
	"in_$1" "git aig-sync --identit" >actual &&
	grep "^--identity=\{0,1\}\$" actual &&
	printf "%s\n" accept help invite >expect &&
	"in_$1" "git aig-sync help " >actual &&
	test_cmp expect actual &&
	echo "$quoted" >expect &&
	"in_$1" "git aig-sync invite bob " >actual &&
	test_cmp expect actual &&
	"in_$1" "git aig-sync accept alice s" >actual &&
	test_cmp expect actual &&
	"in_$1" "git aig-sync bob " >actual &&
	! grep . actual &&
	"in_$1" "git aig-sync --refs=p" >actual &&
	grep porcelain actual
}

for shell in bash zsh fish; do
	case $shell in
	bash) needed=$BASH_OF_GIT ;;
	*) needed=$(command -v $shell) ;;
	esac
	if test -e "$needed"; then
		test_set_prereq "$shell"
	elif test -n "${AIG_SKIPPED:-}"; then
		printf '%s\t%s\n' "no completion of $shell here" "$(basename "$SHARNESS_TEST_FILE" .sh)" >>"$AIG_SKIPPED"
	fi
	test_expect_success "$shell" "$shell completes verbs, remotes, switchboards, options and their values" "completes $shell"
done

test_done
