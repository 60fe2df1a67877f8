package remotehelper

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"aig/internal/oid"
	"aig/internal/ref"
)

// What a peer may list, what git reads of it, and what the user reads.
func TestSift(t *testing.T) {
	for _, tt := range []struct {
		name string
		refs []ref.Ref
		kept []ref.Ref
		warn string // how many were left out, and which was the first
	}{
		{name: "nothing"},
		{name: "an unborn HEAD", refs: []ref.Ref{{Name: "HEAD", Target: "refs/heads/main"}}},
		{name: "an unborn HEAD beside a branch", refs: []ref.Ref{{Name: "HEAD", Target: "refs/heads/main"}, {Name: "refs/heads/x", OID: one}},
			kept: []ref.Ref{{Name: "refs/heads/x", OID: one}}},
		{name: "a HEAD on a branch that isn't shown", refs: []ref.Ref{{Name: "HEAD", OID: one, Target: "refs/heads/hidden"}}, kept: []ref.Ref{{Name: "HEAD", OID: one}}},
		{name: "a HEAD that differs from its branch", refs: []ref.Ref{{Name: "HEAD", OID: one, Target: "refs/heads/x"}, {Name: "refs/heads/x", OID: two}},
			kept: []ref.Ref{{Name: "HEAD", OID: one}, {Name: "refs/heads/x", OID: two}}},
		{name: "a HEAD on itself", refs: []ref.Ref{{Name: "HEAD", OID: one, Target: "HEAD"}}, kept: []ref.Ref{{Name: "HEAD", OID: one}}},
		{name: "a target with a line end in it", refs: []ref.Ref{{Name: "HEAD", OID: one, Target: "refs/heads/x\n" + two + " refs/heads/y"}}, kept: []ref.Ref{{Name: "HEAD", OID: one}}},
		{name: "symbolic by way of a symbolic one",
			refs: []ref.Ref{{Name: "refs/heads/a", OID: one, Target: "refs/heads/b"}, {Name: "refs/heads/b", OID: one, Target: "refs/heads/c"}, {Name: "refs/heads/c", OID: one}},
			kept: []ref.Ref{{Name: "refs/heads/a", OID: one}, {Name: "refs/heads/b", OID: one, Target: "refs/heads/c"}, {Name: "refs/heads/c", OID: one}}},
		{name: "order", refs: []ref.Ref{{Name: "refs/tags/a", OID: one}, {Name: "refs/heads/b", OID: one}, {Name: "refs/heads/a", OID: one}, {Name: "HEAD", OID: one}},
			kept: []ref.Ref{{Name: "HEAD", OID: one}, {Name: "refs/heads/a", OID: one}, {Name: "refs/heads/b", OID: one}, {Name: "refs/tags/a", OID: one}}},
		{name: "twice", refs: []ref.Ref{{Name: "refs/heads/a", OID: one}, {Name: "refs/heads/a", OID: two}}, kept: []ref.Ref{{Name: "refs/heads/a", OID: one}},
			warn: `1 of the peer's references, such as "refs/heads/a"`},
		{name: "names of lines, terminals and files",
			refs: []ref.Ref{{Name: "refs/heads/a\n" + one + " refs/heads/b", OID: one}, {Name: "refs/heads/\x1b]0;x\a", OID: one}, {Name: "config", OID: one}, {Name: "refs/../../config", OID: one}},
			warn: `4 of the peer's references, such as "refs/heads/a\n`},
		{name: "a name of a terminal", refs: []ref.Ref{{Name: "refs/heads/\x1b]0;x\a", OID: one}}, warn: `1 of the peer's references, such as "refs/heads/\x1b]0;x\a"`},
		{name: "an unborn branch of a name that is none", refs: []ref.Ref{{Name: "config", Target: "refs/heads/main"}}, warn: `1 of the peer's references, such as "config"`},
		{name: "values that are none",
			refs: []ref.Ref{{Name: "refs/a", OID: ""}, {Name: "refs/b", OID: strings.Repeat("0", 40)}, {Name: "refs/c", OID: one[1:]}, {Name: "refs/d", OID: long},
				{Name: "refs/e", OID: strings.Repeat("A", 40)}, {Name: "refs/f", OID: one[1:] + "\n"}, {Name: "refs/g", OID: one, Peeled: "\x1b"}, {Name: "refs/h", OID: "?"}},
			warn: `8 of the peer's references, such as "refs/a"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var stderr bytes.Buffer
			got := sift(Listing{Format: oid.SHA1, Refs: tt.refs}, &stderr)
			if len(got.Refs)+len(tt.kept) > 0 && !reflect.DeepEqual(got.Refs, tt.kept) {
				t.Errorf("kept %+v, not %+v", got.Refs, tt.kept)
			}
			want := ""
			if tt.warn != "" {
				want = "warning: left out " + tt.warn
			}
			if said := stderr.String(); !strings.HasPrefix(said, want) || strings.Count(said, "\n") != min(len(want), 1) {
				t.Errorf("the user reads\n%s\nand should read\n%s", said, want)
			}
		})
	}
}

// A peer with many bad names writes only one line on the terminal.
func TestWarningIsBounded(t *testing.T) {
	var refs []ref.Ref
	for i := range 100 {
		refs = append(refs, ref.Ref{Name: fmt.Sprintf("bad %d %s", i, strings.Repeat("x", 100_000)), OID: one})
	}
	var stderr bytes.Buffer
	sift(Listing{Format: oid.SHA1, Refs: refs}, &stderr)
	if said := stderr.String(); strings.Count(said, "\n") != 1 || len(said) > 400 || !strings.HasPrefix(said, "warning: left out 100 of") {
		t.Errorf("%d bytes: %.400s", len(said), said)
	}
}
