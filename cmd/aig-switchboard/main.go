// Command aig-switchboard joins two strangers' SSH sessions into one pipe.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/activation"
	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/spf13/pflag"

	"aig/internal/cluster"
	"aig/internal/command"
	"aig/internal/metrics"
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
		config  = flags.String("config", "", "")
		check   = flags.Bool("check-config", false, "")
		landing = flags.String("landing", "", "")
		form    = flags.String("log", "logfmt", "")
		asking  = flags.String("metrics", "", "")
		nodes   cluster.Options
		asked   = flags.Bool("version", false, "")
		help    = flags.BoolP("help", "h", false, "")
	)
	flags.StringVar(&nodes.URLs, "nats", "", "")
	flags.StringVar(&nodes.Advertise, "advertise", "", "")
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
	if err := configure(flags, *config); err != nil {
		return err
	}
	if *landing != "" {
		text, err := os.ReadFile(*landing)
		if err != nil {
			return fmt.Errorf("the landing text: %w", err)
		}
		opt.Landing = string(text)
	}
	err := opt.Check()
	if *form != "logfmt" && *form != "json" {
		err = fmt.Errorf("--log %q is unknown: there are logfmt and json", *form)
	}
	switch clustered := nodes.URLs != ""; {
	case err != nil:
	case clustered != (nodes.Advertise != ""):
		err = errors.New("--nats and --advertise go together: the others have to be found, and to find this one")
	case clustered:
		err = nodes.Check()
	}
	if err != nil {
		return &command.UsageError{Err: err, Usage: usage}
	}
	if *check {
		return nil
	}

	file := *hostKey
	if file == "" {
		dir, err := os.UserConfigDir()
		if err != nil {
			return fmt.Errorf("no place for the host key: %w; name one with --host-key", err)
		}
		file = filepath.Join(dir, "aig-switchboard", "host_ed25519")
	}
	if opt.HostKey, err = switchboard.HostKey(file); err != nil {
		return err
	}
	opt.Logger = logger(stderr, *form, *verbose)
	counted := metrics.New()
	opt.Observer = counted
	if nodes.URLs != "" {
		others, err := join(&opt, nodes, file)
		if err != nil {
			return err
		}
		defer others.Close()
		counted.WatchCluster(others.Connected, others.Nodes)
	}
	server, err := switchboard.New(opt)
	if err != nil {
		return err
	}
	ln, err := listener(ctx, *listen)
	if err != nil {
		return err
	}
	counted.Watch(server.Held)
	stop, err := tell(ctx, *asking, counted)
	if err != nil {
		ln.Close()
		return err
	}
	defer stop()
	// Where systemd has started us, it hears how far we are; anywhere else this does nothing.
	daemon.SdNotify(false, daemon.SdNotifyReady)
	ctx, end := context.WithCancel(ctx)
	var stopping sync.WaitGroup
	stopping.Go(func() {
		<-ctx.Done()
		daemon.SdNotify(false, daemon.SdNotifyStopping)
	})
	err = server.Serve(ctx, ln)
	end()
	stopping.Wait()
	return err
}

// join makes this switchboard one node of several, which are those that have its host key.
func join(opt *switchboard.Options, nodes cluster.Options, hostKey string) (*cluster.Cluster, error) {
	key, err := switchboard.ClusterKey(hostKey)
	if err != nil {
		return nil, err
	}
	opt.ClusterKey = key
	opt.Memory = switchboard.NewMemory(opt.TokenDigits, opt.Lookups, rand.Reader)
	nodes.Key, nodes.Memory, nodes.Logger = key, opt.Memory, opt.Logger
	others, err := cluster.Join(nodes)
	if err != nil {
		return nil, err
	}
	opt.Rendezvous = others
	return others, nil
}

// tell answers those who ask for metrics at an address, until stop is called. They are told that the switchboard goes down from the end of
// ctx on.
func tell(ctx context.Context, address string, m *metrics.Metrics) (stop func(), err error) {
	if address == "" {
		return func() {}, nil
	}
	ln, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listening on %q for those who ask for metrics: %w", address, err)
	}
	server := &http.Server{
		Handler:     m.Handler(func() bool { return ctx.Err() == nil }),
		ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 8 << 10,
	}
	var serving sync.WaitGroup
	serving.Go(func() { server.Serve(ln) })
	return func() {
		server.Close()
		serving.Wait()
	}, nil
}

// configure sets the options that stand in a file and not on the command line.
func configure(flags *pflag.FlagSet, file string) error {
	if file == "" {
		return nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("the configuration: %w", err)
	}
	for i, line := range strings.Split(string(text), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		name, value, _ := strings.Cut(line, " ")
		f := flags.Lookup(name)
		switch {
		case f == nil || slices.Contains([]string{"config", "check-config", "version", "help"}, name):
			err = fmt.Errorf("there is no option %q", name)
		case !f.Changed:
			err = f.Value.Set(strings.TrimSpace(value))
		}
		if err != nil {
			return fmt.Errorf("%q, line %d: %w", file, i+1, err)
		}
	}
	return nil
}

// logger logs to standard error, without a time where the journal adds its own (systemd.exec(5), JOURNAL_STREAM).
func logger(stderr io.Writer, form string, verbose bool) *slog.Logger {
	o := &slog.HandlerOptions{Level: slog.LevelInfo}
	if verbose {
		o.Level = slog.LevelDebug
	}
	if os.Getenv("JOURNAL_STREAM") != "" {
		o.ReplaceAttr = func(groups []string, a slog.Attr) slog.Attr {
			if len(groups) == 0 && a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		}
	}
	if form == "json" {
		return slog.New(slog.NewJSONHandler(stderr, o))
	}
	return slog.New(slog.NewTextHandler(stderr, o))
}

// listener returns the socket that systemd hands over (sd_listen_fds(3)), else one at the address.
func listener(ctx context.Context, address string) (net.Listener, error) {
	handed, err := activation.Listeners()
	switch {
	case err != nil:
		return nil, fmt.Errorf("listening on the socket that systemd hands over: %w", err)
	case len(handed) == 1 && handed[0] != nil:
		return handed[0], nil
	case len(handed) > 0:
		return nil, fmt.Errorf("systemd hands over %d sockets: one is needed, of a stream", len(handed))
	}
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", address)
	if err != nil {
		err = fmt.Errorf("listening on %q: %w", address, err)
	}
	return ln, err
}
