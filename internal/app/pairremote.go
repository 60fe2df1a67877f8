package app

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"aig/internal/git"
	"aig/internal/pairing"
	"aig/internal/ref"
)

// meetRequest is what a pair's transport asks a switchboard for.
const meetRequest = " meet $AIG_MEET"

// remoteConfig is the one remote that a pairing writes.
type remoteConfig struct {
	git    git.Git
	name   string
	global bool

	taken, parked, begun bool // a remote has the name; it is put aside; ours is written, or a part of it
}

func (r *remoteConfig) section() string { return "remote." + r.name }

// aside returns the section that keeps a replaced remote until the outcome is known.
func (r *remoteConfig) aside() string { return "aig-replaced." + r.name }

// edit changes the configuration. An interrupt stops neither it nor its undoing: half a remote would stay.
func (r *remoteConfig) edit(ctx context.Context, args ...string) error {
	scope := "--local"
	if r.global {
		scope = "--global"
	}
	return r.git.EditConfig(context.WithoutCancel(ctx), append([]string{scope}, args...)...)
}

// free returns an error if the name is taken and its remote can't or mustn't be replaced.
func (r *remoteConfig) free(ctx context.Context, replace bool) error {
	variables, err := r.git.ConfigBelow(ctx, r.section()+".")
	if err != nil {
		return err
	}
	if r.taken = len(variables) > 0; r.taken && !replace {
		return fmt.Errorf("there is a remote %q already: --replace gives its name to the new one", r.name)
	}
	own := git.Local
	if r.global {
		own = git.Global
	}
	for key := range variables {
		_, _, elsewhere, err := r.git.ConfigNarrowest(ctx, key, func(s git.Scope) bool { return s != own })
		if err != nil {
			return err
		}
		if elsewhere {
			return fmt.Errorf("the remote %q is set in another configuration file, and can't be replaced from here: see git config --show-origin %s",
				r.name, ref.Shell(key))
		}
	}
	// A second remote put aside would merge with the first.
	left, err := r.git.ConfigBelow(ctx, r.aside()+".")
	if err == nil && len(left) > 0 {
		err = fmt.Errorf("a pairing that was cut off has left the former remote %q in the section %q: "+
			"rename that by git config --rename-section, or remove it by git config --remove-section", r.name, r.aside())
	}
	return err
}

// write writes the remote, in place of one of the same name. If it fails, it takes back what it has done.
func (r *remoteConfig) write(ctx context.Context, transport string, alone bool, fingerprint string, s pairing.Secret) error {
	if r.taken {
		if err := r.edit(ctx, "--rename-section", r.section(), r.aside()); err != nil {
			return fmt.Errorf("putting the remote %q aside, which may be set in another configuration file: %w", r.name, err)
		}
		r.parked = true
	}
	if !alone && !strings.Contains(transport, "AIG_REQUEST") {
		transport += meetRequest
	}
	for _, variable := range [][2]string{
		{"url", "aig::" + transport},
		{"fetch", "+refs/heads/*:refs/remotes/" + r.name + "/*"},
		{"aigTrust", fingerprint},
		{"aigSecret", s.String()},
		// git fetch --all must not wait for somebody who isn't there.
		{"skipFetchAll", "true"},
	} {
		if err := r.edit(ctx, r.section()+"."+variable[0], variable[1]); err != nil {
			err = fmt.Errorf("writing the remote %q: %w", r.name, err)
			if undoErr := r.undo(ctx); undoErr != nil {
				err = fmt.Errorf("%w; %w", err, undoErr)
			}
			return err
		}
		r.begun = true
	}
	return nil
}

// undo takes back what write has done.
func (r *remoteConfig) undo(ctx context.Context) error {
	if r.begun {
		if err := r.edit(ctx, "--remove-section", r.section()); err != nil {
			return fmt.Errorf("removing the remote %q again: %w", r.name, err)
		}
	}
	if r.parked {
		if err := r.edit(ctx, "--rename-section", r.aside(), r.section()); err != nil {
			return fmt.Errorf("restoring the remote %q, which is in the section %q: %w", r.name, r.aside(), err)
		}
	}
	return nil
}

// settle forgets the remote that was replaced.
func (r *remoteConfig) settle(ctx context.Context) error {
	if r.parked {
		return r.edit(ctx, "--remove-section", r.aside())
	}
	return nil
}

// Peers lists the remotes that a pairing has made: name, fingerprint, transport.
func Peers(ctx context.Context, c Config) error {
	remotes, err := c.Git.ConfigBelow(ctx, "remote.")
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(c.Stdout, 0, 8, 2, ' ', 0)
	for _, key := range slices.Sorted(maps.Keys(remotes)) {
		section, paired := strings.CutSuffix(key, ".aigsecret")
		if !paired {
			continue
		}
		transport := strings.TrimPrefix(strings.Join(remotes[section+".url"], " "), "aig::")
		fmt.Fprintf(w, "%s\t%s\t%s\n", ref.Quote(strings.TrimPrefix(section, "remote.")),
			strings.Join(remotes[section+".aigtrust"], " "), strings.TrimSuffix(transport, meetRequest))
	}
	return w.Flush()
}
