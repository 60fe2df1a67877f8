# fish reads this when it starts. Its completion of git is to ask for that of git-aig-sync by itself, but in some versions (3.6) looks
# for it under a wrong name.
complete -c git -n '__fish_git_using_command aig-sync' -f -a '(__fish_git_complete_custom_command aig-sync)'
complete -c git -n __fish_git_needs_command -f -a aig-sync -d 'Make two object stores equal'
