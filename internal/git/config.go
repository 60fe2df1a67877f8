package git

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// Settings caches the configuration as git lists it, read when first needed. The zero value is ready to use.
type Settings struct {
	once    sync.Once
	entries []setting // in git's order, where a later one wins
	err     error
}

type setting struct {
	key   string // canonical
	value string // "" also for a key without "="
	scope Scope
}

// Scope is where a configuration variable is set, the wider ones first, as in git-config(1).
type Scope int

// The scopes of git.
const (
	System Scope = iota // or an unknown scope
	Global
	Local
	Worktree
	Command // -c and GIT_CONFIG_COUNT
)

func parseScope(name string) Scope {
	return Scope(max(0, slices.Index([]string{"system", "global", "local", "worktree", "command"}, name)))
}

// Config returns the last value of a configuration variable; ok is false where it is not set. typ as for ConfigAll.
func (g Git) Config(ctx context.Context, key, typ string) (value string, ok bool, err error) {
	values, err := g.ConfigAll(ctx, key, typ)
	if len(values) == 0 {
		return "", false, err
	}
	return values[len(values)-1], true, err
}

// ConfigAll returns every value of a multi-valued configuration variable. typ is a `git config --type`, or "".
func (g Git) ConfigAll(ctx context.Context, key, typ string) ([]string, error) {
	entries, err := g.Settings.get(ctx, g, key)
	if err != nil || len(entries) == 0 || typ == "" {
		var values []string
		for _, e := range entries {
			values = append(values, e.value)
		}
		return values, err
	}
	// git parses booleans, paths and numbers.
	out, err := g.Command(ctx, nil, "config", "-z", "--type="+typ, "--get-all", key).Output()
	if err != nil {
		return nil, fmt.Errorf("configuration variable %s: %w", key, err)
	}
	return strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00"), nil
}

// ConfigNarrowest returns the values of a multi-valued variable in the narrowest scope that counts and sets it, and that scope; set
// is false if none does. An empty value resets the list, as in git.
func (g Git) ConfigNarrowest(ctx context.Context, key string, counts func(Scope) bool) (values []string, at Scope, set bool, err error) {
	entries, err := g.Settings.get(ctx, g, key)
	for _, e := range entries { // the wider scopes come first
		if !counts(e.scope) {
			continue
		}
		if e.scope != at || e.value == "" {
			values = nil
		}
		if at, set = e.scope, true; e.value != "" {
			values = append(values, e.value)
		}
	}
	return values, at, set, err
}

// RemoteURL returns the URL that git fetch would use for a remote: the first one, with url.<base>.insteadOf applied. ok is false
// if there is no such remote.
func (g Git) RemoteURL(ctx context.Context, name string) (url string, ok bool, err error) {
	if strings.ContainsAny(name, "\n\x00") {
		return "", false, nil // not the name of a configuration variable, nor of a remote
	}
	values, err := g.ConfigAll(ctx, "remote."+name+".url", "")
	if err != nil || len(values) == 0 {
		return "", false, err
	}
	out, err := g.Command(ctx, nil, "ls-remote", "--get-url", "--", name).Output()
	return strings.TrimSuffix(string(out), "\n"), err == nil, err
}

// ConfigBelow returns the values of all variables whose canonical keys begin with the prefix.
func (g Git) ConfigBelow(ctx context.Context, prefix string) (map[string][]string, error) {
	entries, err := g.Settings.all(ctx, g)
	below := make(map[string][]string)
	for _, e := range entries {
		if strings.HasPrefix(e.key, prefix) {
			below[e.key] = append(below[e.key], e.value)
		}
	}
	return below, err
}

// EditConfig runs git config to change the configuration. Settings that have been read don't change.
func (g Git) EditConfig(ctx context.Context, args ...string) error {
	return g.Command(ctx, nil, append([]string{"config"}, args...)...).Run()
}

func (s *Settings) all(ctx context.Context, g Git) ([]setting, error) {
	if s == nil {
		s = new(Settings)
	}
	s.once.Do(func() {
		out, err := g.Command(ctx, nil, "config", "-z", "--show-scope", "--list").Output()
		if err != nil {
			s.err = fmt.Errorf("reading the configuration: %w", err)
			return
		}
		fields := strings.Split(string(out), "\x00")
		for i := 0; i+1 < len(fields); i += 2 {
			key, value, _ := strings.Cut(fields[i+1], "\n")
			s.entries = append(s.entries, setting{key, value, parseScope(fields[i])})
		}
	})
	return s.entries, s.err
}

func (s *Settings) get(ctx context.Context, g Git, key string) ([]setting, error) {
	entries, err := s.all(ctx, g)
	key = canonicalKey(key)
	var found []setting
	for _, e := range entries {
		if e.key == key {
			found = append(found, e)
		}
	}
	return found, err
}

// canonicalKey returns a key as git lists it: section and variable in lower case, the subsection unchanged.
func canonicalKey(key string) string {
	first, last := strings.IndexByte(key, '.'), strings.LastIndexByte(key, '.')
	if first < 0 {
		return key
	}
	return strings.ToLower(key[:first]) + key[first:last] + strings.ToLower(key[last:])
}
