package main

const usage = `usage: aig-switchboard [--listen ADDR] [--host-key FILE] [<options>]

Joins two SSH sessions into one pipe: one side runs "ssh HOST new" and reads a
token, the other runs "ssh HOST <token>", and from then on each one's output is
the other's input. "ssh HOST meet NAME a" and "ssh HOST meet NAME b" need no
token. Everybody is let in; nothing is stored.

    --listen ADDR           address to listen on; port 0 picks a free one
                            (default :2222)
    --host-key FILE         private host key, made (ed25519, mode 0600) if it is
                            missing (default host_ed25519 in the directory
                            aig-switchboard of the user's configuration
                            directory, on Linux ~/.config)
    --grace DURATION        time for running links to end after SIGTERM or
                            SIGINT; a second signal ends at once (default 30s)
    --config FILE           read options from a file, one a line without dashes,
                            as in "max-links 256"; the command line wins
    --check-config          read all options, say what is wrong, and exit
    --landing FILE          what "ssh HOST help" prints
    --metrics ADDR          address for Prometheus, as in localhost:9222;
                            /healthz and /readyz are there too (default: none)
    --nats URL[,URL]        be one of several switchboards with the same host key,
                            which find each other through NATS (default: alone)
    --advertise ADDR        host and port at which the others reach this one
    --log FORMAT            logfmt or json (default logfmt)
    -v, --verbose           log each refusal with the client's address
    --version               print the version
    -h, --help              print this

limits:

    --max-connections N     open connections (default 1024)
    --max-waiting N         sides that wait for their other side (default 256)
    --max-links N           links at the same time (default 128)
                            When one more comes, one of the largest crowd goes:
                            IPv4 addresses are counted by themselves and by /24,
                            IPv6 ones by /64, /56 and /48
    --look-ups N            tokens that one IPv4 address or IPv6 /64 may try a
                            minute; its /24 or /48 may try ten times as many
                            (default 60)
    --token-digits N        least length of a token, 5 to 16; it grows by itself
                            when many wait (default 5)
    --handshake-time DURATION
                            for the SSH handshake, in which a person may be
                            comparing a fingerprint (default 2m)
    --command-time DURATION from there to the command (default 30s)
    --wait-time DURATION    for the other side to come; 0 is for ever
                            (default 12h)
    --idle-time DURATION    of a link on which no byte moves; 0 is for ever
                            (default 30m)
    --control-time DURATION for a client to take a line or an exit status
                            (default 10s)
    --keepalive-interval DURATION
                            between two keepalive requests (default 15s)
    --keepalive-time DURATION
                            time for an answer to one before the client counts
                            as dead (default 45s)

example, a switchboard for this machine alone, and its two sides:

    aig-switchboard --listen localhost:2222
    git aig-sync "ssh -p 2222 localhost new"
    git aig-sync "ssh -p 2222 localhost 17e58"
`
