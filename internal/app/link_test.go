package app

import (
	"errors"
	"testing"
)

// A command that must be run again needs another token if its own is spent.
func TestAgain(t *testing.T) {
	for transport, want := range map[string]string{
		"ssh host 17e58":         "cut: run the same command again (with a new token: this one is spent)",
		`ssh host "17e58"`:       "cut: run the same command again (with a new token: this one is spent)",
		"ssh host new":           "cut: run the same command again (and tell the other side the new token)",
		"ssh bob git aig-sync -": "cut: run the same command again",
		"-":                      "cut: run the same command again",
	} {
		l := &Link{LinkOptions: LinkOptions{Config: Config{Transport: transport}}}
		if got := l.again(errors.New("cut: run the same command again")); got.Error() != want {
			t.Errorf("%s: %v", transport, got)
		}
	}
	if err := (&Link{LinkOptions: LinkOptions{Config: Config{Transport: "ssh host 17e58"}}}).again(errors.New("no key")); err.Error() != "no key" {
		t.Error(err)
	}
}
