# Prints what zsh offers for a command line, one a line: completion.zsh <directory of the function> <command line>. Types the line and a tab
# into a zsh on a terminal of its own, which prints its matches instead of showing them.

zmodload zsh/zpty
there=$(mktemp -d)
trap 'rm -rf $there' EXIT
cat >$there/.zshrc <<'RC'
fpath=($AIG_COMPLETION $fpath)
autoload -U compinit && compinit -u -D
PS1='ready to '"complete>"
bindkey '^I' complete-word
zstyle ':completion:*' list-grouped false
compadd () {
	# With -O, -A or -D nothing is offered.
	if [[ ${@[1,(i)(-|--)]} == *-[OAD]\ * ]]; then
		builtin compadd "$@"
		return
	fi
	local -a offered
	builtin compadd -A offered "$@"
	local one
	for one in $offered; do print -r -- "offered=$one="; done
	builtin compadd "$@"
}
finish () {
	print the end
	compstate[insert]= compstate[list]=
}
comppostfuncs=(finish)
RC
export AIG_COMPLETION=$1 ZDOTDIR=$there TERM=dumb
zpty asked zsh -d -i
zpty -r asked before '*ready to complete>*'
zpty -w -n asked "$2"$'\t'
zpty -r asked answer '*the end*'
zpty -d asked
print -r -- $answer | tr -d '\r' | sed -n 's/.*offered=\(.*\)=$/\1/p'
