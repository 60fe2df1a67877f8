package remotehelper

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"aig/internal/ref"
)

// Lines that are none of git's are refused, and the error shows no control character raw.
func TestParseCommandRefuses(t *testing.T) {
	for _, line := range []string{
		" ", "list ", "list for-fetch", "capabilities ", "Capabilities", "option", "option ", "option  x", "option x \x00", "option x y\r",
		"fetch", "fetch ", "fetch " + one, "fetch " + one + " ", "fetch  refs/heads/main", "fetch " + one[1:] + " HEAD", "fetch " + one + " main",
		"fetch " + one + "  HEAD", "fetch " + one + " HEAD ", "fetch " + one + " refs/heads/\x1b", "fetch " + one + " " + two,
		"fetch " + strings.Repeat("A", 40) + " HEAD", "fetch " + strings.Repeat("0", 40) + " HEAD",
		"push", "push ", "push HEAD", "push HEAD:", "push ++HEAD:refs/x", "push a b:refs/x", "push a:b:refs/x", "push HEAD:main", "push HEAD:refs/x y",
		"connect git-upload-pack", "stateless-connect git-upload-pack", "import refs/heads/main", "export", "get x y", "\x1b[31m",
	} {
		c, err := parseCommand(line)
		if err == nil {
			t.Errorf("%q was taken, as %+v", line, c)
		} else if ref.HasControl(err.Error()) {
			t.Errorf("%q: the error is %q", line, err)
		}
	}
}

// FuzzCommand: what is taken could be no other line, and what is refused has a printable error.
func FuzzCommand(f *testing.F) {
	for _, line := range []string{
		"", "capabilities", "list", "list for-push", "option object-format", "option object-format true", "option filter ",
		`option deepen-not "a\"b"`, "fetch " + one + " refs/heads/main", "fetch " + long + " HEAD", "fetch " + one + " " + one,
		"push refs/heads/a:refs/heads/b", "push +HEAD:refs/heads/b", "push :refs/heads/b", "push +:refs/heads/b", "bogus \x1b",
	} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		c, err := parseCommand(line)
		switch {
		case err != nil && ref.HasControl(err.Error()):
			t.Errorf("the error about %q is %q", line, err)
		case err == nil && !strings.HasPrefix(line, string(c.verb)):
			t.Errorf("%q became %+v", line, c)
		case err == nil && ref.HasControl(line):
			t.Errorf("%q was taken", line)
		}
	})
}

// FuzzServe: whatever git or a peer says, Serve ends, and git reads only lines that it understands.
func FuzzServe(f *testing.F) {
	f.Add("capabilities\nlist\nfetch "+one+" HEAD\n\n\n", "refs/heads/main", one, "refs/heads/main")
	f.Add("option object-format\nlist\n\n", "refs/heads/x\n? refs/heads/y", one, "HEAD\n")
	f.Add("list for-push\npush HEAD:refs/heads/x\n\n", "HEAD", two, "")
	f.Fuzz(func(t *testing.T, in, name, oid, target string) {
		r := &fake{listing: Listing{"sha1", []ref.Ref{
			{Name: "HEAD", OID: oid, Target: target}, {Name: name, OID: oid, Target: target, Peeled: oid}, {Name: target, OID: oid},
		}}}
		var out, stderr bytes.Buffer
		_ = Serve(t.Context(), strings.NewReader(in), &out, &stderr, r)
		for line := range strings.Lines(out.String()) {
			if ref.HasControl(strings.TrimSuffix(line, "\n")) {
				t.Errorf("git reads %q", line)
			}
			word, rest, _ := strings.Cut(strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "^{}"), " ")
			switch {
			case strings.Contains("\nok\nunsupported\n:object-format\nerror\n"+caps, "\n"+word+"\n"):
			case ref.IsObjectName(word) && ref.CheckName(rest) == nil:
			case strings.HasPrefix(word, "@") && ref.CheckName(word[1:]) == nil && ref.CheckName(rest) == nil:
			default:
				t.Errorf("git reads %q", line)
			}
		}
		for line := range strings.Lines(stderr.String()) {
			if ref.HasControl(strings.TrimSuffix(line, "\n")) {
				t.Errorf("the user reads %q", line)
			}
		}
	})
}

// However long a batch is, it is one call of Fetch.
func TestLargeBatch(t *testing.T) {
	var in strings.Builder
	const n = 50_000
	for i := range n {
		in.WriteString("fetch " + one + " refs/heads/" + strings.Repeat("x", 1+i%50) + "\n")
	}
	in.WriteString("\n\n")
	r := &fake{listing: small}
	if err := Serve(t.Context(), strings.NewReader(in.String()), io.Discard, io.Discard, r); err != nil {
		t.Fatal(err)
	}
	if len(r.calls) != 3 {
		t.Errorf("%d calls", len(r.calls))
	}
}
