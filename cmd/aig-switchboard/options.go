package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"aig/internal/cluster"
	"aig/internal/command"
	"aig/internal/switchboard"
)

// options holds the command line, and the configuration file that it names.
type options struct {
	switchboard.Options
	nodes           cluster.Options
	listen, hostKey string
	log, prometheus string
	verbose, check  bool
	help, version   bool
}

// parse reads a command line.
func parse(args []string) (options, error) {
	o := options{Options: switchboard.DefaultOptions()}
	var config, landing string
	flags := pflag.NewFlagSet("aig-switchboard", pflag.ContinueOnError)
	flags.StringVar(&o.listen, "listen", ":2222", "")
	flags.StringVar(&o.hostKey, "host-key", "", "")
	flags.BoolVarP(&o.verbose, "verbose", "v", false, "")
	flags.StringVar(&config, "config", "", "")
	flags.BoolVar(&o.check, "check-config", false, "")
	flags.StringVar(&landing, "landing", "", "")
	flags.StringVar(&o.log, "log", "logfmt", "")
	flags.StringVar(&o.prometheus, "metrics", "", "")
	flags.StringVar(&o.nodes.URLs, "nats", "", "")
	flags.StringVar(&o.nodes.Advertise, "advertise", "", "")
	flags.BoolVar(&o.version, "version", false, "")
	flags.BoolVarP(&o.help, "help", "h", false, "")
	flags.IntVar(&o.MaxConnections, "max-connections", o.MaxConnections, "")
	flags.IntVar(&o.MaxWaiting, "max-waiting", o.MaxWaiting, "")
	flags.IntVar(&o.MaxLinks, "max-links", o.MaxLinks, "")
	flags.IntVar(&o.Lookups, "look-ups", o.Lookups, "")
	flags.IntVar(&o.TokenDigits, "token-digits", o.TokenDigits, "")
	flags.DurationVar(&o.HandshakeTime, "handshake-time", o.HandshakeTime, "")
	flags.DurationVar(&o.CommandTime, "command-time", o.CommandTime, "")
	flags.DurationVar(&o.WaitTime, "wait-time", o.WaitTime, "")
	flags.DurationVar(&o.IdleTime, "idle-time", o.IdleTime, "")
	flags.DurationVar(&o.ControlTime, "control-time", o.ControlTime, "")
	flags.DurationVar(&o.KeepaliveInterval, "keepalive-interval", o.KeepaliveInterval, "")
	flags.DurationVar(&o.KeepaliveTime, "keepalive-time", o.KeepaliveTime, "")
	flags.DurationVar(&o.Grace, "grace", o.Grace, "")
	err := flags.Parse(args)
	switch {
	case err != nil:
		return o, &command.UsageError{Err: err, Usage: usage}
	case o.help || o.version:
		return o, nil
	case flags.NArg() > 0:
		return o, &command.UsageError{Err: fmt.Errorf("unexpected argument %q", flags.Arg(0)), Usage: usage}
	}
	if err := configure(flags, config); err != nil {
		return o, err
	}
	flags.Parse(args) // again: the command line wins
	if landing != "" {
		text, err := os.ReadFile(landing)
		if err != nil {
			return o, fmt.Errorf("the landing text: %w", err)
		}
		o.Landing = string(text)
	}
	if err := o.valid(); err != nil {
		return o, &command.UsageError{Err: err, Usage: usage}
	}
	return o, nil
}

// valid returns what is wrong with the options, if anything.
func (o *options) valid() error {
	switch clustered := o.nodes.URLs != ""; {
	case o.log != "logfmt" && o.log != "json":
		return fmt.Errorf("unknown --log %q: use logfmt or json", o.log)
	case clustered != (o.nodes.Advertise != ""):
		return errors.New("--nats and --advertise must be given together")
	case clustered:
		if err := o.nodes.Check(); err != nil {
			return err
		}
	}
	return o.Check()
}

// configure sets the options that are given in file.
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
		if f == nil || slices.Contains([]string{"config", "check-config", "version", "help"}, name) {
			err = fmt.Errorf("unknown option %q", name)
		} else {
			err = f.Value.Set(strings.TrimSpace(value))
		}
		if err != nil {
			return fmt.Errorf("%q, line %d: %w", file, i+1, err)
		}
	}
	return nil
}
