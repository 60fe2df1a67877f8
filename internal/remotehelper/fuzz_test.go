package remotehelper

import (
	"bytes"
	"strings"
	"testing"

	"aig/internal/ref"
)

// FuzzServe checks that, whatever git or a peer says, Serve ends, and git reads only lines that it understands.
func FuzzServe(f *testing.F) {
	f.Add("capabilities\nlist\nfetch "+one+" HEAD\n\n\n", "refs/heads/main", one, "refs/heads/main")
	f.Add("option object-format\nlist\n\n", "refs/heads/x\n? refs/heads/y", one, "HEAD\n")
	f.Add("list for-push\npush HEAD:refs/heads/x\n\n", "HEAD", two, "")
	f.Fuzz(func(t *testing.T, in, name, oid, target string) {
		r := &fake{listing: Listing{"sha1", []ref.Ref{
			{Name: "HEAD", OID: oid, Target: target}, {Name: name, OID: oid, Target: target, Peeled: oid}, {Name: target, OID: oid},
		}}}
		var out, stderr bytes.Buffer
		_ = Serve(t.Context(), strings.NewReader(in), &out, &stderr, r.remote)
		for line := range strings.Lines(out.String()) {
			word, rest, _ := strings.Cut(strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "^{}"), " ")
			switch {
			case ref.HasControl(strings.TrimSuffix(line, "\n")):
				t.Errorf("git reads %q", line)
			case strings.Contains("\nok\nunsupported\n:object-format\n"+caps, "\n"+word+"\n"):
			case ref.IsObjectName(word) && ref.IsName(rest):
			case strings.HasPrefix(word, "@") && ref.IsName(word[1:]) && ref.IsName(rest):
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
