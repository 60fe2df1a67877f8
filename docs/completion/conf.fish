# fish reads this when it starts. Its completion for git should find git-aig-sync's by itself, but some versions (3.6) look for it under
# the wrong name.
complete -c git -n '__fish_git_using_command aig-sync' -f -a '(__fish_git_complete_custom_command aig-sync)'
complete -c git -n __fish_git_needs_command -f -a aig-sync -d 'Make two object stores equal'
