package app

import (
	"context"
	"fmt"
	"time"

	"aig/internal/identity"
	"aig/internal/pairing"
	"aig/internal/wire"
)

// complete fills in our identity, the context and the request, where no option has; remote is the name of the remote whose
// address c.Transport is, or "". Trust has rules of its own; see [Config.trusted].
func (c *Config) complete(ctx context.Context, remote string) (err error) {
	if c.Identity == "" {
		if c.Identity, err = c.setting(ctx, remote, "aigIdentity", "AIG_IDENTITY", "aig.identity", "path"); err != nil {
			return err
		}
	}
	if c.Context == "" { // a remote whose context is empty has none, whatever the general one is
		if c.Context, err = c.setting(ctx, remote, "aigContext", "AIG_CONTEXT", "aig.context", ""); err != nil {
			return err
		}
	}
	if c.Context != "" {
		if err := wire.CheckContext(c.Context); err != nil {
			return fmt.Errorf("our context (--context, AIG_CONTEXT, aig.context): %w", err)
		}
	}
	if remote == "" {
		return nil
	}
	// What a paired remote's transport asks for is derived from the pair's secret.
	text, paired, err := c.Git.Config(ctx, "remote."+remote+".aigSecret", "")
	if err != nil || !paired {
		return err
	}
	secret, err := pairing.ParseSecret(text)
	if err != nil {
		return fmt.Errorf("remote.%s.aigSecret: %w", remote, err)
	}
	meeting := secret.Meeting(c.Context)
	c.request = []string{"AIG_MEET=" + meeting, "AIG_REQUEST=meet " + meeting}
	return nil
}

// setting returns the remote's own setting, else the environment's, else the general one. If remote or env is "", it is
// passed over.
func (c *Config) setting(ctx context.Context, remote, ofRemote, env, general, typ string) (string, error) {
	if remote != "" {
		if value, set, err := c.Git.Config(ctx, "remote."+remote+"."+ofRemote, typ); set || err != nil {
			return value, err
		}
	}
	if env != "" {
		if value := c.getenv(env); value != "" {
			return value, nil
		}
	}
	value, _, err := c.Git.Config(ctx, general, typ)
	return value, err
}

// helperWait is how long we wait for the peer when git started us and no person looks on: git's own housekeeping
// (git maintenance, git fetch --all) holds its locks meanwhile.
const helperWait = time.Minute

// completeWait fills in how long to wait for the peer; otherwise is the default.
func (c *Config) completeWait(ctx context.Context, remote string, otherwise time.Duration) error {
	if c.Wait != 0 {
		return nil
	}
	text, err := c.setting(ctx, remote, "aigWait", "", "aig.wait", "")
	if err != nil {
		return err
	}
	if c.Wait = otherwise; text != "" {
		if c.Wait, err = time.ParseDuration(text); err != nil || c.Wait < 0 {
			return fmt.Errorf("configuration variable aig.wait or remote.<name>.aigWait: %q is not a duration such as 90s or 2h", text)
		}
	}
	return nil
}

// completeSync fills in all that a sync depends on.
func (c *Config) completeSync(ctx context.Context, remote string) error {
	if err := c.complete(ctx, remote); err != nil {
		return err
	}
	if err := c.completeWait(ctx, remote, 0); err != nil {
		return err
	}
	if c.Give == GiveAsConfigured {
		give, set, err := c.Git.Config(ctx, "aig.give", "")
		if c.Give = Give(give); err == nil && set && c.Give != GiveAll && c.Give != GiveReachable {
			err = fmt.Errorf("configuration variable aig.give: %q is neither all nor reachable", give)
		}
		if err != nil {
			return err
		}
	}
	tell, _, err := c.Git.Config(ctx, "aig.refs", "bool")
	if tell == "false" && c.Branches == BranchText {
		c.Branches = BranchesOff
	}
	return err
}

// Fingerprint returns the fingerprint of the user's own key.
func Fingerprint(ctx context.Context, c Config) (string, error) {
	if err := c.complete(ctx, ""); err != nil {
		return "", err
	}
	return c.fingerprint(ctx)
}

func (c Config) fingerprint(ctx context.Context) (string, error) {
	return identity.PublicFingerprint(ctx, c.Identity, identity.AskPassphrase)
}
