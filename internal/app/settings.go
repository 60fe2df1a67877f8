package app

import (
	"context"
	"fmt"

	"aig/internal/git"
	"aig/internal/identity"
	"aig/internal/pairing"
	"aig/internal/wire"
)

// Settings is who we are, whom we trust and what the session is about, in the words of the user.
type Settings struct {
	Identity string   // our private key's file; "" is the default of package identity
	Trust    []string // fingerprints
	Context  string   // the word that both sides must give alike; "" is none

	wait    string   // how long to wait for the peer, as configured
	request []string // what the transport of a paired remote has to ask a switchboard for, in its environment
}

// complete fills in what no option has set: from the configuration of the remote of that name if it is not "", else from
// the environment, else from the general configuration. Trust has rules of its own; see [Config.trusted].
func (s *Settings) complete(ctx context.Context, git git.Git, getenv func(string) string, remote string) error {
	for _, v := range []struct {
		value                  *string
		ofRemote, env, general string
		typ                    string
	}{
		{&s.Identity, "aigIdentity", "AIG_IDENTITY", "aig.identity", "path"},
		{&s.wait, "aigWait", "", "aig.wait", ""},
		{&s.Context, "aigContext", "AIG_CONTEXT", "aig.context", ""}, // a remote whose context is empty has none, whatever the general one is
	} {
		set := *v.value != ""
		var err error
		if !set && remote != "" {
			*v.value, set, err = git.Config(ctx, "remote."+remote+"."+v.ofRemote, v.typ)
		}
		if !set && err == nil {
			if v.env != "" {
				*v.value = getenv(v.env)
			}
			if *v.value == "" {
				*v.value, _, err = git.Config(ctx, v.general, v.typ)
			}
		}
		if err != nil {
			return err
		}
	}
	if s.Context != "" {
		if err := wire.CheckContext(s.Context); err != nil {
			return fmt.Errorf("our context (--context, AIG_CONTEXT, aig.context): %w", err)
		}
	}
	if remote == "" {
		return nil
	}
	return s.completeRequest(ctx, git, remote)
}

// completeRequest makes what a paired remote's transport asks for of the secret of the pair.
func (s *Settings) completeRequest(ctx context.Context, git git.Git, remote string) error {
	text, paired, err := git.Config(ctx, "remote."+remote+".aigSecret", "")
	if err != nil || !paired {
		return err
	}
	secret, err := pairing.ParseSecret(text)
	if err != nil {
		return fmt.Errorf("remote.%s.aigSecret: %w", remote, err)
	}
	meeting := secret.Meeting(s.Context)
	s.request = []string{"AIG_MEET=" + meeting, "AIG_REQUEST=meet " + meeting}
	return nil
}

// fingerprint returns that of our own key.
func (s Settings) fingerprint(ctx context.Context) (string, error) {
	return identity.PublicFingerprint(ctx, s.Identity, identity.AskPassphrase)
}
