package branches

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"math"
	"os/exec"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"aig/internal/ref"
)

const (
	oidA = "2202c3995e179f40782a33326f7acbb541acb1a7"
	oidB = "7ad295c8bbd695be588c440855d44878e1eab63a"
	oidC = "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321"
)

// golden has a branch of every class and every kind of trouble.
func golden() *Report {
	return &Report{
		Here: Here{Branch: "refs/heads/main", Elsewhere: map[string]string{"refs/heads/there": "/home/a b/tree"}},
		Branches: []Branch{
			{Name: "HEAD", Ours: oidA, Theirs: oidB, OnlyTheirs: 1, Related: true},
			{Name: "refs/heads/\x1b[2J", Theirs: oidB, Related: true},
			{Name: "refs/heads/a b", Ours: oidA, Theirs: oidB, OnlyOurs: 1, OnlyTheirs: 1, Related: true},
			{Name: "refs/heads/behind", Ours: oidA, Theirs: oidB, OnlyOurs: 2, Related: true},
			{Name: "refs/heads/forward", Ours: oidA, Theirs: oidB, OnlyTheirs: 7, Related: true},
			{Name: "refs/heads/gone", Ours: oidA, Theirs: oidB, Unknown: "its history is \x07incomplete"},
			{Name: "refs/heads/liar", Ours: oidA, Theirs: "\x1b]0;owned\x07"},
			{Name: "refs/heads/main", Ours: oidA, Theirs: oidB, OnlyTheirs: 3, Related: true,
				Dirty: []string{"a.txt", "b\n", "c", "d", "e", "f", "g"}},
			{Name: "refs/heads/new", Theirs: oidC, Related: true},
			{Name: "refs/heads/other", Ours: oidA, Theirs: oidB},
			{Name: "refs/heads/same", Ours: oidA, Theirs: oidA, Related: true},
			{Name: "refs/heads/there", Ours: oidA, Theirs: oidB, OnlyTheirs: 1, Related: true},
			{Name: "refs/heads/two", Ours: oidA, Theirs: oidB, OnlyOurs: 2, OnlyTheirs: 3, Same: 1, Related: true},
			{Name: "refs/heads/\u202etxt.exe", Theirs: oidB, Related: true},
			{Name: "refs/heads/$(x)", Theirs: oidB, Related: true},
		},
		Tips:  []string{oidC, oidA},
		About: map[string]ref.About{oidC: {Subject: "Soup", Author: "Bob", Date: "2026-11-27", Age: "2 hours ago"}},
	}
}

// What a person sees, to the letter.
func TestTextGolden(t *testing.T) {
	const want = `HEAD (detached)  7ad295c8…  fast-forward: 1 commit ahead of yours
    git merge --ff-only 7ad295c8bbd695be588c440855d44878e1eab63a
"\x1b[2J"        7ad295c8…  new
"a b"            7ad295c8…  requires merge: 1 yours, 1 theirs
    (only one of you should merge; the other takes the merge after the next sync)
behind           7ad295c8…  behind yours by 2
forward          7ad295c8…  fast-forward: 7 commits ahead of yours
    git fetch . 7ad295c8bbd695be588c440855d44878e1eab63a:refs/heads/forward
gone             7ad295c8…  unknown: "its history is \aincomplete"
liar             -          unknown: the peer sent no full object name
main             7ad295c8…  fast-forward: 3 commits ahead of yours
    git merge --ff-only 7ad295c8bbd695be588c440855d44878e1eab63a
    warning: it would touch uncommitted changes: a.txt, "b\n", c, d, e and 2 more
new              6ef19b41…  new; "Soup", Bob, 2 hours ago
    git branch new 6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321
other            7ad295c8…  unrelated history
    git branch from-peer-7ad295c8bbd6 7ad295c8bbd695be588c440855d44878e1eab63a
same             2202c399…  up to date
there            7ad295c8…  fast-forward: 1 commit ahead of yours
    git -C '/home/a b/tree' merge --ff-only 7ad295c8bbd695be588c440855d44878e1eab63a
two              7ad295c8…  requires merge: 2 yours, 3 theirs (1 of them already among yours under another name)
    git switch two && git merge 7ad295c8bbd695be588c440855d44878e1eab63a
"\u202etxt.exe"  7ad295c8…  new
"$(x)"           7ad295c8…  new
    git branch '$(x)' 7ad295c8bbd695be588c440855d44878e1eab63a
commits that came in and that nothing points to, newest first:
6ef19b41…  "Soup", Bob, 2026-11-27
    git branch found-6ef19b41225c 6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321
    git branch found-2202c3995e17 2202c3995e179f40782a33326f7acbb541acb1a7
`
	var got strings.Builder
	if err := golden().WriteText(&got, math.MaxInt); err != nil {
		t.Fatal(err)
	}
	if got.String() != want {
		t.Errorf("got\n%s", got.String())
	}
}

// What a script reads, to the letter.
func TestPorcelainGolden(t *testing.T) {
	want := strings.NewReplacer(" A", " "+oidA, " B", " "+oidB, " C", " "+oidC).Replace(`# aig refs 1
ref fast-forward A B 0 1 HEAD
ref new - B - - "refs/heads/\x1b[2J"
ref requires-merge A B 1 1 "refs/heads/a\x20b"
ref behind A B 2 0 refs/heads/behind
ref fast-forward A B 0 7 refs/heads/forward
ref unknown A B - - refs/heads/gone
why "its\x20history\x20is\x20\aincomplete"
ref unknown A - - - refs/heads/liar
why "the\x20peer\x20sent\x20no\x20full\x20object\x20name"
ref fast-forward A B 0 3 refs/heads/main
dirty a.txt
dirty "b\n"
dirty c
dirty d
dirty e
dirty f
dirty g
ref new - C - - refs/heads/new
ref unrelated A B - - refs/heads/other
ref up-to-date A A 0 0 refs/heads/same
ref fast-forward A B 0 1 refs/heads/there
ref requires-merge A B 2 3 refs/heads/two
ref new - B - - "refs/heads/\u202etxt.exe"
ref new - B - - "refs/heads/$(x)"
tip C
tip A
end
`)
	var got strings.Builder
	if err := golden().WritePorcelain(&got); err != nil {
		t.Fatal(err)
	}
	if got.String() != want {
		t.Errorf("got\n%s", got.String())
	}
}

// Nothing to say is still a whole porcelain report, and no text at all.
func TestNothingToSay(t *testing.T) {
	var text, porcelain strings.Builder
	r := new(Report)
	if err := errors.Join(r.WriteText(&text, 200), r.WritePorcelain(&porcelain)); err != nil {
		t.Fatal(err)
	}
	if text.String() != "" || porcelain.String() != "# aig refs 1\nend\n" {
		t.Errorf("%q, %q", text.String(), porcelain.String())
	}
}

// A peer with very many branches, tips and long names does not flood the screen; the text counts what it leaves out, and
// the porcelain has it all.
func TestTextIsBounded(t *testing.T) {
	r := new(Report)
	for i := range 2 * 500 {
		r.Branches = append(r.Branches, Branch{Name: fmt.Sprintf("refs/heads/%d%s", i, strings.Repeat("x", 5000)), Theirs: oidA, Related: true})
		r.Tips = append(r.Tips, oidB)
	}
	var text, porcelain strings.Builder
	if err := errors.Join(r.WriteText(&text, 200), r.WritePorcelain(&porcelain)); err != nil {
		t.Fatal(err)
	}
	if n := text.Len(); n > 500*2*200 {
		t.Errorf("%d bytes", n)
	}
	if want := "  new\n… and 800 more (--refs=all)\n"; !strings.Contains(text.String(), want) {
		t.Errorf("no %q", want)
	}
	if strings.Count(porcelain.String(), "\nref ") != 2*500 || strings.Count(porcelain.String(), "\ntip ") != 2*500 {
		t.Error("the porcelain is not whole")
	}
}

// Pair takes the peer's branches, each once, with ours of the same name; a detached HEAD of the peer's only if no branch
// is at the same commit.
func TestPair(t *testing.T) {
	ours := []ref.Ref{{Name: "HEAD", OID: oidA, Target: "refs/heads/main"}, {Name: "refs/heads/main", OID: oidA}, {Name: "refs/heads/mine", OID: oidA}}
	for _, c := range []struct {
		theirs []ref.Ref
		want   []Branch
	}{
		{nil, nil},
		{[]ref.Ref{{Name: "HEAD", Target: "refs/heads/main"}}, nil},
		{[]ref.Ref{{Name: "HEAD", OID: oidB, Target: "refs/heads/x"}, {Name: "refs/tags/v1", OID: oidA, Peeled: oidB}, {Name: "refs/notes/x", OID: oidA}, {Name: "x", OID: oidA}}, nil},
		{[]ref.Ref{{Name: "HEAD", OID: oidB}}, []Branch{{Name: "HEAD", Ours: oidA, Theirs: oidB}}},
		{[]ref.Ref{{Name: "HEAD", OID: oidB}, {Name: "refs/heads/z", OID: oidC}, {Name: "refs/heads/main", OID: oidB}, {Name: "refs/heads/main", OID: oidC}},
			[]Branch{{Name: "refs/heads/main", Ours: oidA, Theirs: oidB}, {Name: "refs/heads/z", Theirs: oidC}}},
	} {
		if got := Pair(ours, c.theirs); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%v: %+v, want %+v", c.theirs, got, c.want)
		}
	}
}

// No command is suggested for a name that git refuses or takes for something else, or that a terminal doesn't show whole.
func TestNoCommandForOddNames(t *testing.T) {
	names := []string{
		"", "-f", "--force", "@", "HEAD", "a..b", "a b", "a\nb", "a\x1b[2Jb", "a\u009b2Jb", "a\x9b", "a\u202eb", "a\u200bb", "a\u00adb", "a\ufe0fb",
		"a\u3164b", "a\ufffdb", "a\U000e0041b", "a\u2028b", "a\u00a0b", "\xc3\x28", oidA, oidC, "a.lock", "x^{}", "@{-1}", "a:b", strings.Repeat("x", maxShownName+1),
	}
	for _, here := range []Here{{}, {Bare: true}, {Branch: "refs/heads/main"}} {
		for _, name := range names {
			for _, b := range []Branch{
				{Theirs: oidA, Related: true},
				{Ours: oidB, Theirs: oidA, OnlyTheirs: 1, Related: true},
				{Ours: oidB, Theirs: oidA, OnlyOurs: 1, OnlyTheirs: 1, Related: true},
				{Ours: oidB, Theirs: oidA},
			} {
				b.Name = ref.Branches + name
				if got := here.Command(b); got != "" {
					t.Errorf("%q: %s", name, got)
				}
			}
		}
	}
	for _, name := range []string{"main", "refs/tags/v1", "refs/heads", "../refs/heads/x", "HEAD "} {
		if got := (Here{}).Command(Branch{Name: name, Theirs: oidA, Related: true}); got != "" {
			t.Errorf("%q: %s", name, got)
		}
	}
}

// parsePorcelain reads the format as its documentation has it, and nothing else.
func parsePorcelain(text string) (*Report, error) {
	r := new(Report)
	var last *Branch
	object := func(s string) string { return strings.TrimPrefix(s, "-") }
	lines := bufio.NewScanner(strings.NewReader(text))
	lines.Buffer(nil, 1<<24)
	if !lines.Scan() || lines.Text() != "# aig refs 1" {
		return nil, errors.New("no version")
	}
	for lines.Scan() {
		fields := strings.Split(lines.Text(), " ")
		for i, f := range fields {
			if strings.HasPrefix(f, `"`) {
				s, err := strconv.Unquote(f)
				if err != nil {
					return nil, err
				}
				fields[i] = s
			}
		}
		switch {
		case fields[0] == "ref" && len(fields) == 7:
			b := Branch{Name: fields[6], Ours: object(fields[2]), Theirs: object(fields[3])}
			if fields[4] != "-" {
				var err1, err2 error
				b.OnlyOurs, err1 = strconv.Atoi(fields[4])
				b.OnlyTheirs, err2 = strconv.Atoi(fields[5])
				if err := errors.Join(err1, err2); err != nil {
					return nil, err
				}
			}
			switch Class(fields[1]) {
			case UpToDate, FastForward, Behind, RequiresMerge, New:
				b.Related = true
			}
			r.Branches = append(r.Branches, b)
			last = &r.Branches[len(r.Branches)-1]
		case fields[0] == "why" && len(fields) == 2:
			last.Unknown = fields[1]
		case fields[0] == "dirty" && len(fields) == 2:
			last.Dirty = append(last.Dirty, fields[1])
		case fields[0] == "tip" && len(fields) == 2:
			r.Tips = append(r.Tips, fields[1])
		case len(fields) == 1 && fields[0] == "end":
			if lines.Scan() {
				return nil, errors.New("something after the end")
			}
			return r, nil
		default:
			return nil, fmt.Errorf("line %q", lines.Text())
		}
	}
	return nil, errors.New("no end")
}

// Whatever the names, paths and reasons: the porcelain is ASCII and reads back as the same report, and the text is safe on
// any terminal, with as many lines as it should have.
func FuzzReport(f *testing.F) {
	f.Add("refs/heads/main", oidA, oidB, "", "path", uint16(1), uint16(2), true)
	f.Add("refs/heads/\x1b[2J\n\" \xff\\x20", "-", "\n", "why\n\u202e", "-", uint16(0), uint16(2), true)
	f.Add("-", "", oidC, "", "", uint16(0), uint16(0), false)
	f.Add("HEAD", oidA, oidA, "", "\x00\u2028", uint16(0), uint16(0), true)
	f.Add("refs/heads/it's", oidA, oidB, "", "a b", uint16(1), uint16(1), true)
	f.Fuzz(func(t *testing.T, name, ours, theirs, why, path string, onlyOurs, onlyTheirs uint16, related bool) {
		b := Branch{Name: name, Ours: ours, Theirs: theirs, OnlyOurs: int(onlyOurs), OnlyTheirs: int(onlyTheirs), Related: related,
			Unknown: why, Dirty: []string{path, name}}
		r := &Report{Here: Here{Branch: "refs/heads/main", Elsewhere: map[string]string{name: path}},
			Branches: []Branch{b}, Tips: []string{oidA}}
		var text, porcelain bytes.Buffer
		if err := errors.Join(r.WriteText(&text, 200), r.WritePorcelain(&porcelain)); err != nil {
			t.Fatal(err)
		}
		for _, c := range text.String() {
			if c != '\n' && (!unicode.IsPrint(c) || c == unicode.ReplacementChar) {
				t.Errorf("the text has %q in it: %q", c, text.String())
			}
		}
		lines := strings.Split(text.String(), "\n")
		if command := r.Here.Command(b); slices.Contains(lines, "    "+command) != (command != "") || len(lines) > 7 {
			t.Errorf("lines of text: %q", lines)
		}
		if i := bytes.IndexFunc(porcelain.Bytes(), func(c rune) bool { return c != '\n' && (c < ' ' || c > '~') }); i >= 0 {
			t.Errorf("porcelain %q", porcelain.String())
		}
		got, err := parsePorcelain(porcelain.String())
		if err != nil {
			t.Fatalf("%v in %q", err, porcelain.String())
		}
		class := b.Class()
		if !ref.IsObjectName(b.Ours) {
			b.Ours = ""
		}
		if !ref.IsObjectName(b.Theirs) {
			b.Theirs = ""
		}
		b.Unknown = ""
		switch class {
		case Unknown:
			b.OnlyOurs, b.OnlyTheirs, b.Related, b.Unknown = 0, 0, false, r.Branches[0].why()
		case New, Unrelated:
			b.OnlyOurs, b.OnlyTheirs, b.Related = 0, 0, class == New
		case UpToDate:
			b.Related = true
		}
		if !reflect.DeepEqual(got.Branches, []Branch{b}) || !slices.Equal(got.Tips, r.Tips) {
			t.Errorf("read back %+v, want %+v", got.Branches, b)
		}
	})
}

// A real shell takes a quoted word for exactly what it was.
func FuzzShellQuote(f *testing.F) {
	for _, s := range []string{"", "main", "it's", "'", "''", `\`, "$(x)", "`x`", "a b", "!x", "~", "#", "*", "é", "-n", "a;b&c|d<e>f", `"`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if s != "" && !ref.Printable(s) {
			return // Shell is given printable words only; a NUL, for one, can't be in any word
		}
		out, err := exec.Command("sh", "-c", "printf '%s,' "+ref.Shell("x", s, "y")).Output()
		if err != nil || string(out) != "x,"+s+",y," {
			t.Errorf("%q came out as %q, %v", s, out, err)
		}
	})
}
