package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"aig/internal/git"
	"aig/internal/identity"
	"aig/internal/ref"
)

// trusted returns the keys that the peer may have, if c.Transport may be started with them. remote is the name of the
// configured remote whose address that is, or "" if the user typed it; byGit says that git started us for it.
//
// An address is a command, and a configured one need not be the user's word: .gitmodules is somebody else's. So a remote
// needs trust of its own, set where its address is set. For a typed address, trust that was typed too is enough; with trust
// from a configuration file alone, the user must have allowed such addresses in git, as for other protocols that run
// commands. --trust overrides all that. If no trust counts, nothing starts, and the error says what to type.
func (c Config) trusted(ctx context.Context, remote string, byGit bool, stderr io.Writer) (identity.Trust, error) {
	texts, err := c.chooseTrust(ctx, remote, byGit, stderr)
	if err != nil {
		return nil, err
	}
	return identity.ParseTrust(texts)
}

func (c Config) chooseTrust(ctx context.Context, remote string, byGit bool, stderr io.Writer) ([]string, error) {
	if len(c.Trust) > 0 {
		return c.Trust, nil
	}
	submodule := (remote != "" || byGit) && c.Git.IsSubmodule(ctx)
	if remote != "" {
		if own, err := c.remoteTrust(ctx, remote, submodule); err != nil || len(own) > 0 {
			return own, err
		}
		if byGit && !submodule && c.cloning(ctx) {
			remote = ""
		}
	}
	general, typed, err := c.generalTrust(ctx)
	if err == nil && len(general) == 0 {
		var own string
		if own, err = c.fingerprint(ctx); err == nil {
			fmt.Fprintf(stderr, "AIG_TRUST=%s\n", own) // what the other side needs
		}
	}
	switch {
	case err != nil:
		return nil, err
	case remote != "":
		return nil, fmt.Errorf("no peer's key is trusted for the remote %s: to run its address, %.200q, type: %s",
			ref.Quote(remote), c.Transport, setTrust(remote, general))
	case len(general) == 0:
		return nil, errors.New("no peer's key is trusted: start with AIG_TRUST=<fingerprint of the peer's key>, " +
			"--trust or aig.trust; the peer needs the AIG_TRUST line above")
	case submodule:
		return nil, fmt.Errorf("in a submodule's repository only a remote with trust of its own is run: git remote add <name> %s && %s",
			ref.Shell("aig::"+c.Transport), setTrust("<name>", general))
	case byGit && !typed && !c.allowedByUser(ctx):
		return nil, fmt.Errorf("aig.trust alone does not let git run an address: start with AIG_TRUST=%s, "+
			"or allow all that you type: git config --global protocol.aig.allow user", strings.Join(general, " "))
	}
	return general, nil
}

// remoteTrust returns the remote's own aigTrust. For an address that is set in the repository, only trust that is set there too
// counts, not that of every remote called origin. git passes -c on to submodules, so it doesn't count there.
func (c Config) remoteTrust(ctx context.Context, remote string, submodule bool) ([]string, error) {
	all := func(git.Scope) bool { return true }
	_, scope, set, err := c.Git.ConfigNarrowest(ctx, "remote."+remote+".url", all)
	if err != nil {
		return nil, err
	}
	if !set || scope > git.Local { // not set: it is in $GIT_DIR/remotes or $GIT_DIR/branches
		scope = git.Local
	}
	trust, _, _, err := c.Git.ConfigNarrowest(ctx, "remote."+remote+".aigTrust", func(s git.Scope) bool {
		return s >= scope && !(submodule && s == git.Command)
	})
	return trust, err
}

// generalTrust returns the environment's trust, else aig.trust's. typed says that it was set for this run, not in a file.
func (c Config) generalTrust(ctx context.Context) (trust []string, typed bool, err error) {
	words, set := c.lookup("AIG_TRUST")
	if !set {
		words, set = c.lookup("TRUST")
		set = set && words != "" // it may be anybody's variable
	}
	if set && strings.TrimSpace(words) == "" {
		return nil, true, nil
	}
	if set {
		return []string{words}, true, nil
	}
	trust, at, _, err := c.Git.ConfigNarrowest(ctx, "aig.trust", func(git.Scope) bool { return true })
	return trust, at == git.Command, err
}

// cloning reports whether git started us for a clone, where the user typed the remote's address. git clone runs us from
// outside the repository that it makes, which holds nothing yet, neither objects nor anybody's addresses.
func (c Config) cloning(ctx context.Context) bool {
	if !filepath.IsAbs(c.getenv("GIT_DIR")) {
		return false
	}
	empty, err := c.Git.IsEmpty(ctx)
	return empty && err == nil
}

// allowedByUser reports whether the user has allowed addresses of this kind by git's own means.
func (c Config) allowedByUser(ctx context.Context) bool {
	if list, set := c.lookup("GIT_ALLOW_PROTOCOL"); set {
		return slices.Contains(strings.Split(list, ":"), "aig")
	}
	allow, _, err := c.Git.Config(ctx, "protocol.aig.allow", "")
	return err == nil && (strings.EqualFold(allow, "user") || strings.EqualFold(allow, "always"))
}

// allowedByEnvironment fails if GIT_PROTOCOL_FROM_USER (git(1)) says that the user didn't give the address: `git submodule` sets
// it to 0, since the repository's author wrote .gitmodules. git then refuses unknown helpers by itself, unless protocol.allow or
// protocol.<name>.allow is always. Whatever the configuration says, a file in a repository must not start a helper whose address
// is a shell expression.
//
// Only git's words for true count, and 1; nobody sets what else git reads as true.
func (c Config) allowedByEnvironment() error {
	value, set := c.lookup("GIT_PROTOCOL_FROM_USER")
	if !set || slices.Contains([]string{"1", "true", "yes", "on"}, strings.ToLower(value)) {
		return nil
	}
	return fmt.Errorf("refused to start a shell for an address that you did not give yourself (GIT_PROTOCOL_FROM_USER is %q): "+
		"most likely a submodule's; if you trust it, fetch it by hand", value)
}

// setTrust returns the command that gives a remote trust of its own: the general trust, if that is one key.
func setTrust(remote string, general []string) string {
	fingerprint := "SHA256:<fingerprint of the peer's key>"
	if len(general) == 1 {
		fingerprint = ref.Shell(general...)
	}
	return "git config " + ref.Shell("remote."+remote+".aigTrust") + " " + fingerprint
}
