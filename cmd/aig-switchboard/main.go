// Command aig-switchboard joins two strangers' SSH sessions into one pipe.
package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/activation"
	"github.com/coreos/go-systemd/v22/daemon"

	"aig/internal/cluster"
	"aig/internal/command"
	"aig/internal/switchboard"
	"aig/internal/version"
)

func main() {
	// If the reader of the log goes away, lines are lost and links go on.
	signal.Ignore(syscall.SIGPIPE)

	ctx, stop := command.WithSignals(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	os.Exit(command.Status(err, os.Stderr))
}

// run is the whole program: it serves until ctx ends.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parse(args)
	switch {
	case err != nil:
		return err
	case o.help:
		_, err := io.WriteString(stdout, usage)
		return err
	case o.version:
		_, err := io.WriteString(stdout, version.Line("aig-switchboard"))
		return err
	case o.check:
		return nil
	}
	if o.hostKey == "" {
		dir, err := os.UserConfigDir()
		if err != nil {
			return fmt.Errorf("no place for the host key: %w; name one with --host-key", err)
		}
		o.hostKey = filepath.Join(dir, "aig-switchboard", "host_ed25519")
	}
	var clusterKey []byte
	if o.HostKey, clusterKey, err = switchboard.HostKey(o.hostKey); err != nil {
		return err
	}
	o.Logger = logger(stderr, o.log, o.verbose)
	if o.nodes.URLs != "" {
		others, err := join(&o, clusterKey)
		if err != nil {
			return err
		}
		defer others.Close()
		o.Metrics.WatchCluster(others.Connected, others.Nodes)
	}
	server := switchboard.New(o.Options)
	ln, err := listener(ctx, o.listen)
	if err != nil {
		return err
	}
	stop, err := tell(ctx, o.prometheus, o.Metrics)
	if err != nil {
		ln.Close()
		return err
	}
	defer stop()
	// This tells systemd that we are ready; without systemd it does nothing.
	daemon.SdNotify(false, daemon.SdNotifyReady)
	return server.Serve(ctx, ln)
}

// join makes this switchboard a node of the cluster of those that share its host key.
func join(o *options, key []byte) (*cluster.Cluster, error) {
	o.ClusterKey = key
	o.Memory = switchboard.NewMemory(o.TokenDigits, o.Lookups, rand.Reader)
	o.nodes.Key, o.nodes.Memory, o.nodes.Logger = key, o.Memory, o.Logger
	others, err := cluster.Join(o.nodes)
	if err != nil {
		return nil, err
	}
	o.Rendezvous = others
	return others, nil
}

// tell serves metrics at address until stop is called. Once ctx has ended, /readyz says that the switchboard is going down.
func tell(ctx context.Context, address string, m *switchboard.Metrics) (stop func(), err error) {
	if address == "" {
		return func() {}, nil
	}
	ln, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listening on %q for metrics: %w", address, err)
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

// logger returns a logger to standard error, without times where the journal adds its own (systemd.exec(5), JOURNAL_STREAM).
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

// listener returns the socket that systemd passed (sd_listen_fds(3)), or else listens at address.
func listener(ctx context.Context, address string) (net.Listener, error) {
	handed, err := activation.Listeners()
	switch {
	case err != nil:
		return nil, fmt.Errorf("listening on the socket that systemd passed: %w", err)
	case len(handed) == 1 && handed[0] != nil:
		return handed[0], nil
	case len(handed) > 0:
		return nil, fmt.Errorf("systemd passed %d sockets: exactly one stream socket is needed", len(handed))
	}
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", address)
	if err != nil {
		err = fmt.Errorf("listening on %q: %w", address, err)
	}
	return ln, err
}
