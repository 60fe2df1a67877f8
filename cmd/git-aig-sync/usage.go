package main

// usageText is what -h prints: it fits a screen.
const usageText = `usage: git aig-sync [<options>] [--] <transport>
   or: git aig-sync <remote>
   or: git aig-sync invite|accept [<options>] <name> [<transport>]
   or: git aig-sync --peers | --fingerprint | --version | help [<verb>]

Makes two object stores equal over any full-duplex pipe. All your objects are
given, stashes, amended commits and files that were once staged included; and a
peer that knows an object's content can find out whether you hold it.

who meets whom    --trust <key>  --identity <file>  --context <word>
                  --wait <duration>  --timeout <duration>
what travels      --pull  --push  --give=reachable  --snapshot  --no-refs
                  -n, --dry-run
what is shown     -q, --quiet  -v, --verbose  --[no-]progress  --summary
                  --report=full  --refs=all  --porcelain

    git aig-sync invite bob "ssh switchboard.example"    pair once, by a code
    git aig-sync bob                                     from then on
    git aig-sync "ssh bob git -C project aig-sync -"     any pipe will do

git aig-sync help explains each of these; git-aig-sync(1) has everything.
`

// helpText is what help prints.
const helpText = `usage: git aig-sync [<options>] [--] <transport>
   or: git aig-sync invite <name> [<transport>]
   or: git aig-sync accept <name> [<transport>]
   or: git aig-sync --peers
   or: git aig-sync --fingerprint
   or: git aig-sync help [<verb>]

Makes the object stores of two repositories equal, over any full-duplex pipe
to a peer that runs the same command. No reference is touched. All your objects
are given, stashes, amended commits and files that were once staged included;
and a peer that knows an object's content can find out whether you hold it.

<transport> is a shell expression, one argument, whose standard input and
output are the pipe; - is this process's own standard input and output; the
name of a remote whose URL is aig::<transport> stands for that.

Who you are, and whom you meet (default: from the environment or git config):
    --trust <key>      fingerprint of the peer's key, as ssh-keygen -lf prints
                       it, or its .pub (may be repeated; $AIG_TRUST, aig.trust)
    --identity <file>  your private key ($AIG_IDENTITY, aig.identity, else
                       ~/.ssh/id_ed25519, else the SSH agent)
    --context <word>   a word that both sides must give ($AIG_CONTEXT,
                       aig.context)
    --wait <duration>  how long to wait for the peer to come (aig.wait)
    --timeout <duration>   how long nothing may move then (default 1m0s)
What travels:
    --pull             receive only
    --push             give only
    --give=reachable   give only what references reach that aren't hidden: no
                       stashes, no amended commits (aig.give)
    --snapshot         make a commit of your uncommitted work first, to which
                       nothing points (aig.snapshot)
    --no-refs          tell the peer no branches and tags, and don't compare its
                       branches with yours (aig.refs=false)
    -n, --dry-run      find out how much would move, and move nothing
What is shown:
    --summary          how many objects moved, not which
    --report=full      every object, even on a terminal or with -
    --refs=all         all of the peer's branches, even if a screen holds fewer
    --porcelain        how the peer's branches compare with yours, for scripts
                       (or --refs=porcelain)
    -q, --quiet        no report, no progress
    -v, --verbose      each step, one a line
    --[no-]progress    show progress, or don't (default: on a terminal)
    --fingerprint      your key's fingerprint, and nothing else
    --version          the version
    -h, --help         the shorter form of this

Two people, and a host that neither trusts, where aig-switchboard runs:

    alice$ AIG_TRUST=SHA256:… git aig-sync "ssh switchboard.example new"
    transport: "17e58\n"
    bob$ AIG_TRUST=SHA256:… git aig-sync "ssh switchboard.example 17e58"
`

const pairText = `usage: git aig-sync invite [<options>] <name> [<transport>]
   or: git aig-sync accept [<options>] <name> [<transport>]

Pairs two people once, by a short code, so that each is a remote of the
other's from then on. One invites and reads the code out; the other accepts
and types it in. Then both synchronise, over the same connection.

<name> is what you call the other: the name of the remote. <transport> is a
shell expression that leads to a switchboard (default: aig.switchboard); the
request is appended, or goes where the expression has $AIG_REQUEST.

    --code        the transport is any pipe, and the code has no token
    --replace     give an existing remote's name to the new one
    --global      write the remote for all of your repositories
    --no-sync     don't synchronise now

accept reads the code from $AIG_CODE, else from standard input, else it asks
on the terminal. --identity, --wait, --timeout and the report's options work as
for git aig-sync.

    alice$ git aig-sync invite bob "ssh switchboard.example"
    bob$ git aig-sync accept alice "ssh switchboard.example"
`

// helpTexts is what `git aig-sync help [<verb>]` prints.
var helpTexts = map[string]string{
	"":       helpText,
	"invite": pairText,
	"accept": pairText,
	"help":   "usage: git aig-sync help [<verb>]\n\nPrints how to use git aig-sync, or one of its verbs.\n",
}
