package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"aig/internal/gitstore"
	"aig/internal/identity"
	"aig/internal/pairing"
	"aig/internal/wire"
)

// Settings is who we are, whom we trust and what the session is about, in the words of the user.
type Settings struct {
	Identity string   // our private key's file; "" is the default of package identity
	Trust    []string // fingerprints
	Context  string   // the word that both sides must give alike; "" is none

	request []string // what the transport of a paired remote has to ask a switchboard for, in its environment
}

// complete fills in what is not set: from the environment, then from the configuration of the remote of that name if it
// is not "", then from the general configuration.
func (s *Settings) complete(ctx context.Context, git gitstore.Git, getenv func(string) string, remote string) error {
	var err error
	if s.Identity == "" {
		s.Identity = getenv("AIG_IDENTITY")
	}
	for _, key := range keys(remote, "aigIdentity", "aig.identity") {
		if s.Identity == "" {
			if s.Identity, _, err = git.Config(ctx, key, "path"); err != nil {
				return err
			}
		}
	}
	if len(s.Trust) == 0 {
		s.Trust = strings.Fields(getenv("TRUST"))
	}
	for _, key := range keys(remote, "aigTrust", "aig.trust") {
		if len(s.Trust) == 0 {
			if s.Trust, err = git.ConfigAll(ctx, key); err != nil {
				return err
			}
		}
	}
	if err := s.completeContext(ctx, git, getenv, remote); err != nil || remote == "" {
		return err
	}
	return s.completeRequest(ctx, git, remote)
}

// completeRequest makes what a paired remote's transport asks for of the secret of the pair.
func (s *Settings) completeRequest(ctx context.Context, git gitstore.Git, remote string) error {
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

func (s *Settings) completeContext(ctx context.Context, git gitstore.Git, getenv func(string) string, remote string) error {
	if s.Context == "" {
		s.Context = getenv("AIG_CONTEXT")
	}
	for _, key := range keys(remote, "aigContext", "aig.context") {
		if s.Context != "" {
			break
		}
		word, set, err := git.Config(ctx, key, "")
		if err != nil {
			return err
		}
		if s.Context = word; set {
			break // a remote whose context is empty has none, whatever the general one is
		}
	}
	if s.Context == "" {
		return nil
	}
	if err := wire.CheckContext(s.Context); err != nil {
		return fmt.Errorf("our context (--context, AIG_CONTEXT, aig.context): %w", err)
	}
	return nil
}

func keys(remote, own, general string) []string {
	if remote == "" {
		return []string{general}
	}
	return []string{"remote." + remote + "." + own, general}
}

// fingerprint returns that of our own key.
func (s Settings) fingerprint(ctx context.Context) (string, error) {
	return identity.PublicFingerprint(ctx, identity.Options{File: s.Identity})
}

// trusted returns the keys that the peer may have. Where there are none, it prints what the other side needs.
func (s Settings) trusted(ctx context.Context, stderr io.Writer) (identity.Trust, error) {
	if len(s.Trust) > 0 {
		return identity.ParseTrust(s.Trust)
	}
	fp, err := s.fingerprint(ctx)
	if err != nil {
		return identity.Trust{}, err
	}
	fmt.Fprintf(stderr, "TRUST=%s\n", fp)
	return identity.Trust{}, errors.New("no peer's key is trusted: start with TRUST=<fingerprint of the peer's key>, " +
		"--trust or aig.trust; the peer needs the TRUST line above")
}
