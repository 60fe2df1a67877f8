# fish completion for git aig-sync: fish's own completion for git asks for git-aig-sync's.

# Tells whether the word being completed follows this many arguments, not counting options, and the first is one of the verbs, if any
# are given.
function __git_aig_sync_behind -a count
    set -l verbs $argv[2..]
    set -l before (commandline -opc)
    argparse -i trust=+ identity= context= wait= timeout= -- $before[2..] 2>/dev/null
    set -l arguments (string match -v -- '-?*' $argv)
    test (count $arguments) = $count
    and begin
        test -z "$verbs"
        or contains -- "$arguments[1]" $verbs
    end
end

# The remotes whose address is a transport.
function __git_aig_sync_remotes
    git config --name-only --get-regexp '^remote\..*\.url$' '^aig::' 2>/dev/null | string replace -r '^remote\.(.*)\.url$' '$1'
end

complete -c git-aig-sync -f
complete -c git-aig-sync -n '__git_aig_sync_behind 0' -a '(__git_aig_sync_remotes)' -d remote
complete -c git-aig-sync -n '__git_aig_sync_behind 0' -a '(git config --get-all aig.switchboard 2>/dev/null | string replace -r "\$" " new")' -d switchboard
complete -c git-aig-sync -n '__git_aig_sync_behind 0' -a invite -d 'pair with somebody, and read a code out'
complete -c git-aig-sync -n '__git_aig_sync_behind 0' -a accept -d 'pair with somebody who reads a code out'
complete -c git-aig-sync -n '__git_aig_sync_behind 0' -a help -d 'show how to use it'
complete -c git-aig-sync -n '__git_aig_sync_behind 1 help' -a 'invite accept help'
complete -c git-aig-sync -n '__git_aig_sync_behind 2 invite accept' -a '(git config --get-all aig.switchboard 2>/dev/null)' -d switchboard

complete -c git-aig-sync -l trust -x -d 'fingerprint of the key that the peer may have'
complete -c git-aig-sync -l identity -r -F -d 'your private key'
complete -c git-aig-sync -l context -x -d 'word that both sides must give'
complete -c git-aig-sync -l fingerprint -d 'print the fingerprint of your key'
complete -c git-aig-sync -l peers -d 'list the remotes that were paired'
complete -c git-aig-sync -l pull -d 'receive only'
complete -c git-aig-sync -l push -d 'give only'
complete -c git-aig-sync -l snapshot -d 'give your uncommitted work as a commit'
complete -c git-aig-sync -l summary -d 'report how many objects moved, not which'
complete -c git-aig-sync -l report -x -a full -d 'report every object'
complete -c git-aig-sync -s q -l quiet -d 'no report, no progress'
complete -c git-aig-sync -s v -l verbose -d 'show what is done'
complete -c git-aig-sync -s n -l dry-run -d 'find out how much would move'
complete -c git-aig-sync -l porcelain -d 'compare the branches for scripts'
complete -c git-aig-sync -l progress -d 'show progress'
complete -c git-aig-sync -l no-progress -d 'show no progress'
complete -c git-aig-sync -l give -x -a 'reachable all' -d 'what is given'
complete -c git-aig-sync -l refs -x -a 'all porcelain' -d 'compare the branches'
complete -c git-aig-sync -l no-refs -d 'don\'t tell the peer of branches and tags'
complete -c git-aig-sync -l wait -x -d 'how long to wait for the peer'
complete -c git-aig-sync -l timeout -x -d 'how long the peer may be silent once it is there'
complete -c git-aig-sync -l code -d 'pair by a code without a token'
complete -c git-aig-sync -l replace -d 'give an existing name to the new remote'
complete -c git-aig-sync -l global -d 'write the remote for all of your repositories'
complete -c git-aig-sync -l no-sync -d 'pair, and don\'t synchronise now'
complete -c git-aig-sync -l version -d 'print the version'
complete -c git-aig-sync -s h -l help -d 'print the usage'
