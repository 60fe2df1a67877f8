// Command aig-switchboard joins two strangers' SSH sessions into one pipe.
package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/spf13/pflag"

	"aig/internal/command"
	"aig/internal/switchboard"
	"aig/internal/version"
)

func main() {
	// Whoever reads the log may go: lines are lost then, and links go on.
	signal.Ignore(syscall.SIGPIPE)

	// The first signal ends the context. Signals are no longer caught by then, so that a second one ends the process at
	// once.
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 1)
	command.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		signal.Stop(signals)
		cancel()
	}()
	err := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	os.Exit(command.Status(err, os.Stderr))
}

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
    -v, --verbose           log each refusal with the address it went to
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
                            between two questions for a sign of life
                            (default 15s)
    --keepalive-time DURATION
                            without a sign of life after one, then the client
                            counts as dead (default 45s)

example, a switchboard for this machine alone, and its two sides:

    aig-switchboard --listen localhost:2222
    git aig-sync "ssh -p 2222 localhost new"
    git aig-sync "ssh -p 2222 localhost 17e58"
`

// run is the whole program: it serves until ctx ends.
func run(ctx context.Context, args []string, _ io.Reader, stdout, stderr io.Writer) error {
	opt := switchboard.DefaultOptions()
	flags := pflag.NewFlagSet("aig-switchboard", pflag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.Usage = func() {}
	var (
		listen  = flags.String("listen", ":2222", "")
		hostKey = flags.String("host-key", "", "")
		verbose = flags.BoolP("verbose", "v", false, "")
		asked   = flags.Bool("version", false, "")
		help    = flags.BoolP("help", "h", false, "")
	)
	flags.IntVar(&opt.MaxConnections, "max-connections", opt.MaxConnections, "")
	flags.IntVar(&opt.MaxWaiting, "max-waiting", opt.MaxWaiting, "")
	flags.IntVar(&opt.MaxLinks, "max-links", opt.MaxLinks, "")
	flags.IntVar(&opt.Lookups, "look-ups", opt.Lookups, "")
	flags.IntVar(&opt.TokenDigits, "token-digits", opt.TokenDigits, "")
	flags.DurationVar(&opt.HandshakeTime, "handshake-time", opt.HandshakeTime, "")
	flags.DurationVar(&opt.CommandTime, "command-time", opt.CommandTime, "")
	flags.DurationVar(&opt.WaitTime, "wait-time", opt.WaitTime, "")
	flags.DurationVar(&opt.IdleTime, "idle-time", opt.IdleTime, "")
	flags.DurationVar(&opt.ControlTime, "control-time", opt.ControlTime, "")
	flags.DurationVar(&opt.KeepaliveInterval, "keepalive-interval", opt.KeepaliveInterval, "")
	flags.DurationVar(&opt.KeepaliveTime, "keepalive-time", opt.KeepaliveTime, "")
	flags.DurationVar(&opt.Grace, "grace", opt.Grace, "")
	if err := flags.Parse(args); err != nil {
		return &command.UsageError{Err: err, Usage: usage}
	}
	switch {
	case *help:
		_, err := io.WriteString(stdout, usage)
		return err
	case *asked:
		_, err := io.WriteString(stdout, version.Line("aig-switchboard"))
		return err
	case flags.NArg() > 0:
		return &command.UsageError{Err: fmt.Errorf("unexpected argument %q", flags.Arg(0)), Usage: usage}
	}
	if err := opt.Check(); err != nil {
		return &command.UsageError{Err: err, Usage: usage}
	}

	file := *hostKey
	if file == "" {
		dir, err := os.UserConfigDir()
		if err != nil {
			return fmt.Errorf("no place for the host key: %w; name one with --host-key", err)
		}
		file = filepath.Join(dir, "aig-switchboard", "host_ed25519")
	}
	var err error
	if opt.HostKey, err = switchboard.HostKey(file); err != nil {
		return err
	}
	level := slog.LevelInfo
	if *verbose {
		level = slog.LevelDebug
	}
	opt.Logger = slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: level}))
	server, err := switchboard.New(opt)
	if err != nil {
		return err
	}
	ln, err := listener(ctx, *listen)
	if err != nil {
		return err
	}
	return server.Serve(ctx, ln)
}

// listener returns the socket that systemd hands over (sd_listen_fds(3)), else one at the address. Both have TCP's
// keepalives on.
func listener(ctx context.Context, address string) (net.Listener, error) {
	if os.Getenv("LISTEN_PID") == strconv.Itoa(os.Getpid()) {
		if n := os.Getenv("LISTEN_FDS"); n != "1" {
			return nil, fmt.Errorf("systemd hands over %q sockets: one is needed", n)
		}
		ln, err := net.FileListener(os.NewFile(3, "socket"))
		if err != nil {
			err = fmt.Errorf("listening on the socket that systemd hands over: %w", err)
		}
		return ln, err
	}
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", address)
	if err != nil {
		err = fmt.Errorf("listening on %q: %w", address, err)
	}
	return ln, err
}
