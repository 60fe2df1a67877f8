# Prints what zsh offers for a command line, a line each: completion.zsh <directory of the function> <command line>. A zsh on a terminal of
# its own is asked by a tabulator, as a person would ask it, and prints its matches instead of showing them.

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
