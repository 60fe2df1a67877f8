package remotehelper

import (
	"bytes"
	"errors"
	"fmt"
	"os/exec"
	"reflect"
	"strings"
	"testing"
)

// checkName and git judge names alike, but for what git's transports add: HEAD or refs/, and a limit.
func TestCheckNameAgreesWithGit(t *testing.T) {
	names := []string{"refs/heads/main", "refs/stash", "refs/heads/a/b/c", "refs/heads/-x", "refs/heads/ä", "refs/heads/\xff\xfe", "refs/heads/@",
		"refs/heads/a@b", "refs/heads/{x}", "refs/heads/a.b", "refs/heads/lock", "refs/heads/a.lock2", "refs/heads/\"'$(x)", "refs/heads/HEAD",
		"refs/", "refs", "refs/heads/", "refs//heads", "refs/heads//a", "refs/.a", "refs/heads/.hidden", "refs/heads/a..b", "refs/../x", "refs/heads/a.",
		"refs/heads/a./b", "refs/heads/a.lock", "refs/heads/a.lock/b", "refs/heads/.lock", "refs/heads/a@{b", "refs/heads/a@{", "refs/heads/@{0}"}
	for c := 1; c <= 0xff; c++ {
		names = append(names, "refs/heads/a"+string([]byte{byte(c)})+"b")
	}
	for _, name := range names {
		err := exec.CommandContext(t.Context(), "git", "check-ref-format", name).Run()
		if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
			t.Fatal(err)
		}
		if ours := checkName(name); (ours == nil) != (err == nil) {
			t.Errorf("%q: git says %v, we say %v", name, err, ours)
		}
	}
	for name, valid := range map[string]bool{
		"HEAD": true, "refs/heads/" + strings.Repeat("x", maxName-len("refs/heads/")): true,
		"refs/heads/" + strings.Repeat("x", maxName): false, "": false, "main": false, "heads/main": false, "FETCH_HEAD": false, "config": false,
		"/refs/heads/main": false, "refs/heads/a\x00b": false, "@": false, "REFS/heads/x": false,
	} {
		if (checkName(name) == nil) != valid {
			t.Errorf("%.80q: %v", name, checkName(name))
		}
	}
}

// What a peer may list, what git reads of it, and what the user reads.
func TestSift(t *testing.T) {
	for _, tt := range []struct {
		name string
		refs []Ref
		kept []Ref
		warn []string // a part of each line
	}{
		{name: "nothing"},
		{name: "an unborn HEAD", refs: []Ref{{Name: "HEAD", Target: "refs/heads/main"}}},
		{name: "an unborn HEAD beside a branch", refs: []Ref{{Name: "HEAD", Target: "refs/heads/main"}, {Name: "refs/heads/x", OID: one}},
			kept: []Ref{{Name: "refs/heads/x", OID: one}}},
		{name: "a HEAD on a branch that isn't shown", refs: []Ref{{Name: "HEAD", OID: one, Target: "refs/heads/hidden"}}, kept: []Ref{{Name: "HEAD", OID: one}}},
		{name: "a HEAD that differs from its branch", refs: []Ref{{Name: "HEAD", OID: one, Target: "refs/heads/x"}, {Name: "refs/heads/x", OID: two}},
			kept: []Ref{{Name: "HEAD", OID: one}, {Name: "refs/heads/x", OID: two}}},
		{name: "a HEAD on itself", refs: []Ref{{Name: "HEAD", OID: one, Target: "HEAD"}}, kept: []Ref{{Name: "HEAD", OID: one}}},
		{name: "a target with a line end in it", refs: []Ref{{Name: "HEAD", OID: one, Target: "refs/heads/x\n" + two + " refs/heads/y"}}, kept: []Ref{{Name: "HEAD", OID: one}}},
		{name: "symbolic by way of a symbolic one",
			refs: []Ref{{Name: "refs/heads/a", OID: one, Target: "refs/heads/b"}, {Name: "refs/heads/b", OID: one, Target: "refs/heads/c"}, {Name: "refs/heads/c", OID: one}},
			kept: []Ref{{Name: "refs/heads/a", OID: one}, {Name: "refs/heads/b", OID: one, Target: "refs/heads/c"}, {Name: "refs/heads/c", OID: one}}},
		{name: "order", refs: []Ref{{Name: "refs/tags/a", OID: one}, {Name: "refs/heads/b", OID: one}, {Name: "refs/heads/a", OID: one}, {Name: "HEAD", OID: one}},
			kept: []Ref{{Name: "HEAD", OID: one}, {Name: "refs/heads/a", OID: one}, {Name: "refs/heads/b", OID: one}, {Name: "refs/tags/a", OID: one}}},
		{name: "twice", refs: []Ref{{Name: "refs/heads/a", OID: one}, {Name: "refs/heads/a", OID: two}}, kept: []Ref{{Name: "refs/heads/a", OID: one}},
			warn: []string{`"refs/heads/a": it is listed twice`}},
		{name: "names of lines, terminals and files",
			refs: []Ref{{Name: "refs/heads/a\n" + one + " refs/heads/b", OID: one}, {Name: "refs/heads/\x1b]0;x\a", OID: one}, {Name: "config", OID: one}, {Name: "refs/../../config", OID: one}},
			warn: []string{`"refs/heads/a\n`, `"refs/heads/\x1b]0;x\a"`, `"config": a reference is HEAD or`, `"refs/../../config"`}},
		{name: "values that are none",
			refs: []Ref{{Name: "refs/a", OID: ""}, {Name: "refs/b", OID: strings.Repeat("0", 40)}, {Name: "refs/c", OID: one[1:]}, {Name: "refs/d", OID: long},
				{Name: "refs/e", OID: strings.Repeat("A", 40)}, {Name: "refs/f", OID: one[1:] + "\n"}, {Name: "refs/g", OID: one, Peeled: "\x1b"}, {Name: "refs/h", OID: "?"}},
			kept: []Ref{{Name: "refs/g", OID: one}},
			warn: []string{`"refs/a": "" is no sha1`, `"refs/b"`, `"refs/c"`, `"refs/d"`, `"refs/e"`, `1\n" is no sha1`, `"refs/g" points to "\x1b"`, `"refs/h": "?"`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var stderr bytes.Buffer
			got, err := sift(Listing{ObjectFormat: "sha1", Refs: tt.refs}, &stderr)
			if err != nil {
				t.Fatal(err)
			}
			if len(got.Refs)+len(tt.kept) > 0 && !reflect.DeepEqual(got.Refs, tt.kept) {
				t.Errorf("kept %+v, not %+v", got.Refs, tt.kept)
			}
			lines := strings.Split(strings.TrimSuffix(stderr.String(), "\n"), "\n")
			if stderr.Len() == 0 {
				lines = nil
			}
			if len(lines) != len(tt.warn) {
				t.Fatalf("warnings\n%s\nnot %d of them", stderr.String(), len(tt.warn))
			}
			for i, part := range tt.warn {
				if !strings.HasPrefix(lines[i], "warning: ") || !strings.Contains(lines[i], part) {
					t.Errorf("warning %q is not about %q", lines[i], part)
				}
			}
		})
	}
}

// A peer with a million bad names writes a few lines on the terminal, not a million.
func TestWarningsAreBounded(t *testing.T) {
	var refs []Ref
	for i := range 100 {
		refs = append(refs, Ref{Name: fmt.Sprintf("bad %d %s", i, strings.Repeat("x", 100_000)), OID: one})
	}
	var stderr bytes.Buffer
	if _, err := sift(Listing{ObjectFormat: "sha1", Refs: refs}, &stderr); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(stderr.String(), "\n"); n != maxWarnings+1 || stderr.Len() > n*400 {
		t.Errorf("%d lines, %d bytes", n, stderr.Len())
	}
	if !strings.HasSuffix(stderr.String(), "warning: and 92 more of this kind\n") {
		t.Error(stderr.String())
	}
}
