package remotehelper

import (
	"fmt"
	"strings"

	"aig/internal/ref"
)

// maxLine is the longest line taken from git, in bytes and with its line end. The longest that git has reason to write is
// a push of two reference names of ref.MaxName each.
const maxLine = 16 << 10

// verb says which command a line is.
type verb string

const (
	blank        verb = "" // ends a batch; outside of one, the conversation
	capabilities verb = "capabilities"
	list         verb = "list"
	listForPush  verb = "list for-push"
	option       verb = "option" // "option <name>[ <value>]"
	fetch        verb = "fetch"  // "fetch <oid> <name>"
	push         verb = "push"   // "push [+][<source>]:<destination>"
)

// command is one line from git. Which fields mean something depends on the verb.
type command struct {
	verb        verb
	name, value string // of an option; the value is raw, and C-quoted where git found that necessary
	oid         string // to fetch
	destination string // of a push
}

// parseCommand parses a line without its line end.
func parseCommand(line string) (command, error) {
	switch v := verb(line); v {
	case blank, capabilities, list, listForPush:
		return command{verb: v}, nil
	}
	word, rest, _ := strings.Cut(line, " ")
	switch verb(word) {
	case option:
		return parseOption(rest)
	case fetch:
		return parseFetch(rest)
	case push:
		return parsePush(rest)
	}
	return command{}, fmt.Errorf("git sent an unknown command: %.200q", line)
}

func parseOption(s string) (command, error) {
	name, value, _ := strings.Cut(s, " ")
	if name == "" || ref.HasControl(s) {
		return command{}, fmt.Errorf("git sent a malformed option: %.200q", s)
	}
	return command{verb: option, name: name, value: value}, nil
}

func parseFetch(s string) (command, error) {
	oid, name, _ := strings.Cut(s, " ")
	if !ref.IsObjectName(oid) {
		return command{}, fmt.Errorf("git wants to fetch something that is no object name: %.200q", s)
	}
	// `git fetch <remote> <oid>` puts the object's name in the place of the reference's.
	if name != oid {
		if err := ref.CheckName(name); err != nil {
			return command{}, fmt.Errorf("git wants to fetch %.200q: %w", name, err)
		}
	}
	return command{verb: fetch, oid: oid}, nil
}

func parsePush(s string) (command, error) {
	source, destination, _ := strings.Cut(strings.TrimPrefix(s, "+"), ":")
	if strings.HasPrefix(source, "+") || strings.Contains(source, " ") || ref.HasControl(source) {
		return command{}, fmt.Errorf("git wants to push from a malformed name: %.200q", source)
	}
	if err := ref.CheckName(destination); err != nil {
		return command{}, fmt.Errorf("git wants to push to %.200q: %w", destination, err)
	}
	return command{verb: push, destination: destination}, nil
}
