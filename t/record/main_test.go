package main

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"regexp"
	"strings"
	"testing"
)

const transcript = `# They meet:
alice$ git aig-sync "ssh host new"
transport: "17e58\n"
= 0
> obj:sha1:<&>
.

bob$ git aig-sync "ssh host 17e58"
transport: "switched\n"
.

# And are equal.
`

// text returns the character data of an SVG; it fails if the SVG is not well-formed.
func text(t *testing.T, svg io.Reader) string {
	t.Helper()
	var all strings.Builder
	for d := xml.NewDecoder(svg); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return all.String()
		}
		if err != nil {
			t.Fatal(err)
		}
		if data, ok := token.(xml.CharData); ok {
			all.Write(data)
		}
	}
}

// The side that waits shows no more than the token until the other has come, and both show the end.
func TestRecord(t *testing.T) {
	var svg strings.Builder
	if err := run(strings.NewReader(transcript), &svg); err != nil {
		t.Fatal(err)
	}
	seen := text(t, strings.NewReader(svg.String()))
	last := -1
	for _, line := range []string{"They meet:", "alice$ git", `"17e58\n"`, "bob$ git", "= 0", `"switched\n"`, "> obj:sha1:<&>", "And are equal."} {
		at := strings.Index(seen, line)
		if at <= last {
			t.Errorf("%q is not there, or too early, in\n%s", line, seen)
		}
		last = at
	}
	if err := run(strings.NewReader("\n"), io.Discard); err == nil {
		t.Error("an empty transcript makes a picture")
	}
}

// The picture of the README is small, moves without a script, and loads nothing.
func TestRecordingOfTheDocuments(t *testing.T) {
	svg, err := os.ReadFile("../../docs/demo.svg")
	if err != nil {
		t.Fatal(err)
	}
	seen := text(t, strings.NewReader(string(svg)))
	if !strings.Contains(seen, "git aig-sync") || len(svg) > 40_000 || !strings.Contains(seen, "prefers-color-scheme:dark") {
		t.Errorf("docs/demo.svg has %d bytes and shows\n%s", len(svg), seen)
	}
	if m := regexp.MustCompile(`<script|href|url\(|@import`).Find(svg); m != nil {
		t.Errorf("docs/demo.svg has %s", m)
	}
}
