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
type verb int

const (
	blank        verb = iota // ends a batch; outside of one, the conversation
	capabilities             // "capabilities"
	list                     // "list"
	listForPush              // "list for-push"
	option                   // "option <name>[ <value>]"
	fetch                    // "fetch <oid> <name>"
	push                     // "push [+][<source>]:<destination>"
)

// command is one line from git. Which fields mean something depends on the verb.
type command struct {
	verb verb

	name     string // option: its name; fetch: the reference, or the object's name again
	value    string // option: raw, and C-quoted where git found that necessary
	hasValue bool   // option: git up to 2.44 sends "option object-format" without a value

	oid string // fetch: 40 or 64 lower-case hexadecimal digits

	force       bool   // push
	source      string // push: empty for a deletion
	destination string // push
}

// parseCommand parses a line without its line end. Whatever it takes, String gives back to the byte.
func parseCommand(line string) (command, error) {
	word, rest, more := strings.Cut(line, " ")
	switch {
	case line == "":
		return command{verb: blank}, nil
	case line == "capabilities":
		return command{verb: capabilities}, nil
	case line == "list":
		return command{verb: list}, nil
	case line == "list for-push":
		return command{verb: listForPush}, nil
	case word == "option" && more:
		return parseOption(rest)
	case word == "fetch" && more:
		return parseFetch(rest)
	case word == "push" && more:
		return parsePush(rest)
	}
	return command{}, fmt.Errorf("git sent a command unknown here: %.200q", line)
}

func parseOption(s string) (command, error) {
	name, value, has := strings.Cut(s, " ")
	if name == "" || ref.HasControl(s) {
		return command{}, fmt.Errorf("git sent a malformed option: %.200q", s)
	}
	return command{verb: option, name: name, value: value, hasValue: has}, nil
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
	return command{verb: fetch, oid: oid, name: name}, nil
}

func parsePush(s string) (command, error) {
	s, force := strings.CutPrefix(s, "+")
	source, destination, _ := strings.Cut(s, ":")
	if strings.HasPrefix(source, "+") || strings.Contains(source, " ") || ref.HasControl(source) {
		return command{}, fmt.Errorf("git wants to push from a malformed name: %.200q", source)
	}
	if err := ref.CheckName(destination); err != nil {
		return command{}, fmt.Errorf("git wants to push to %.200q: %w", destination, err)
	}
	return command{verb: push, force: force, source: source, destination: destination}, nil
}

// String is the line of the command, without its line end.
func (c command) String() string {
	switch c.verb {
	case capabilities:
		return "capabilities"
	case list:
		return "list"
	case listForPush:
		return "list for-push"
	case option:
		if !c.hasValue {
			return "option " + c.name
		}
		return "option " + c.name + " " + c.value
	case fetch:
		return "fetch " + c.oid + " " + c.name
	case push:
		plus := ""
		if c.force {
			plus = "+"
		}
		return "push " + plus + c.source + ":" + c.destination
	}
	return ""
}
