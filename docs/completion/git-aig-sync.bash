# bash completion for git aig-sync: git's own completion loads this file and calls the function.
# shellcheck shell=bash disable=SC2154 # git's completion, which calls this, sets cur, prev, words and cword

_git_aig_sync ()
{
	# The word being completed follows options with their values, and arguments, the first of which may be a verb.
	local verb='' position=0 i
	for ((i = ${__git_cmd_idx:-1} + 1; i < cword; i++)); do
		case ${words[i]} in
		--trust | --identity | --context | --wait | --timeout) ((i++)) ;;
		-?*) ;;
		*) ((position++)) || verb=${words[i]} ;;
		esac
	done

	case $prev in
	--identity) return ;; # bash offers files by itself
	--trust | --context | --wait | --timeout)
		__gitcomp ""
		return
		;;
	esac
	case $cur in
	--identity=*)
		mapfile -t COMPREPLY < <(compgen -f -- "${cur#*=}")
		return
		;;
	--give=*)
		__gitcomp "reachable all" "" "${cur#*=}"
		return
		;;
	--report=*)
		__gitcomp "full" "" "${cur#*=}"
		return
		;;
	--refs=*)
		__gitcomp "all porcelain" "" "${cur#*=}"
		return
		;;
	--*)
		__gitcomp "
			--trust= --identity= --context= --fingerprint --peers --pull --push --snapshot --summary --report= --quiet
			--verbose --dry-run --porcelain --progress --no-progress --give= --refs= --no-refs --wait= --timeout=
			--code --replace --global --no-sync --version --help
			"
		return
		;;
	esac

	case $position,$verb in
	0,)
		_git_aig_sync_offer < <(
			printf '%s\n' invite accept help
			_git_aig_sync_remotes
			_git_aig_sync_switchboards ' new'
		)
		;;
	1,help) __gitcomp "invite accept help" ;;
	2,invite | 2,accept) _git_aig_sync_offer < <(_git_aig_sync_switchboards) ;;
	esac
}

# The remotes whose address is a transport.
_git_aig_sync_remotes ()
{
	__git config --name-only --get-regexp '^remote\..*\.url$' '^aig::' | sed 's/^remote\.//; s/\.url$//'
}

# The transports to the configured switchboards, with the request appended.
_git_aig_sync_switchboards ()
{
	local transport
	__git config --get-all aig.switchboard | while IFS= read -r transport; do
		printf '%s%s\n' "$transport" "${1-}"
	done
}

# Offers the lines that it reads, each as one argument.
_git_aig_sync_offer ()
{
	local line
	while IFS= read -r line; do
		case $cur in
		[\"\']*) # readline closes the user's quote
			[[ $line != "${cur#?}"* ]] || COMPREPLY+=("$line")
			;;
		*)
			printf -v line %q "$line"
			[[ $line != "$cur"* ]] || COMPREPLY+=("$line ")
			;;
		esac
	done
}
