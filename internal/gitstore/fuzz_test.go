package gitstore

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"aig/internal/gittest"
	"aig/internal/oid"
)

// FuzzVerify: whatever git cat-file answers, no object is sound but one whose content has its name.
func FuzzVerify(f *testing.F) {
	f.Add([]byte("4b825dc642cb6eb9a060e54bf8d69288fbee4904 tree 0\n\n"))
	f.Add([]byte("4b825dc642cb6eb9a060e54bf8d69288fbee4904 tree 99999999999999999999\n"))
	f.Add([]byte("4b825dc642cb6eb9a060e54bf8d69288fbee4904 tree -5\n"))
	f.Add([]byte("4b825dc642cb6eb9a060e54bf8d69288fbee4904 missing\n"))
	empty, _ := hex.DecodeString("4b825dc642cb6eb9a060e54bf8d69288fbee4904")
	f.Fuzz(func(t *testing.T, answer []byte) {
		reason, err := verifyOne(bufio.NewReader(bytes.NewReader(answer)), oid.SHA1, empty)
		if err == nil && reason == "" && !strings.HasPrefix(string(answer), "4b825dc642cb6eb9a060e54bf8d69288fbee4904 tree ") {
			t.Errorf("%q passed for the empty tree", answer)
		}
	})
}

// FuzzHints: whatever git rev-list says of the paths in somebody's trees, git pack-objects gets one line for each base and
// each object that was chosen, which begins with that one's name, and no hint is longer than it may be.
func FuzzHints(f *testing.F) {
	digit := func(i int) string { return strings.Repeat(strconv.Itoa(i), 40) }
	f.Add([]byte(digit(1) + " " + digit(7) + "\n" + digit(3) + " \n" + digit(4) + " dir\n" + digit(5) + " dir/file name\n"))
	f.Add([]byte(digit(5) + " a\r-" + digit(9) + "\x00\n" + digit(5) + " b\n" + digit(6) + " " + strings.Repeat("p", maxPath+1) + "\n"))
	f.Add([]byte(digit(2) + " " + digit(8) + " " + digit(8) + " x\n" + digit(4) + " \x1b\xff\n" + digit(4)[:39]))
	f.Add([]byte(digit(6) + " " + strings.Repeat("long", 1000) + "\n" + digit(5) + " after\n"))
	list := oid.NewList(oid.SHA1)
	for i := range 10 {
		name, _ := hex.DecodeString(digit(i))
		list.Append(name)
	}
	give, commits := []uint32{1, 2, 3, 4, 5, 6}, []uint32{1, 2}
	f.Fuzz(func(t *testing.T, said []byte) {
		p := &planner{list: list, give: give, given: newBitmap(list.Len(), give), commits: commits, ends: []int{len(give)}}
		w := &treeWalk{
			planner: p, numbers: make(map[string]uint32), left: slices.Clone(p.given), name: make([]byte, 20),
			hints: &hints{give: give, path: make([]uint32, len(give)), paths: []string{""}},
		}
		_ = w.read(bufio.NewReaderSize(bytes.NewReader(said), 1<<10)) // what was read before an error could be used
		if slices.ContainsFunc(w.bases, p.given.has) || len(w.order) > len(give) {
			t.Errorf("bases %v, order %v", w.bases, w.order)
		}
		lines := &nameLines{
			names: oid.Selection{List: list, Index: give}, bases: oid.Selection{List: list, Index: w.bases},
			path: func(i int) (string, bool) { return w.hints.of(give[i]) },
		}
		out, _ := io.ReadAll(lines)
		got := strings.SplitAfter(string(out), "\n")
		if len(got) != len(w.bases)+len(give)+1 || got[len(got)-1] != "" {
			t.Fatalf("%q gave the lines %q", said, got)
		}
		for i, line := range got[:len(got)-1] {
			var want string
			if i < len(w.bases) {
				want = "-" + digit(int(w.bases[i])) + "\n"
			} else {
				want = digit(int(give[i-len(w.bases)]))
			}
			if !strings.HasPrefix(line, want) || len(line) > 40+1+maxPath+1 || strings.ContainsAny(line, "\r\x00") {
				t.Errorf("%q gave the line %q", said, line)
			}
		}
	})
}

// FuzzNotes: however the words of git index-pack come in, they are understood alike; the name of a pack that becomes part
// of a path is hexadecimal digits, and no file is waited for that has no name.
func FuzzNotes(f *testing.F) {
	name := strings.Repeat("a1", 20)
	f.Add([]byte("pack\t"+name+"\n"+name+"\n"), []byte("error: object "+name+": gitattributesMissing: unable to read\nfatal: fsck error in pack objects\n"), uint8(1))
	f.Add([]byte("pack\t../../../"+name[9:]+"\n"), []byte("warning: x\nfatal: y"), uint8(7))
	f.Add([]byte(strings.Repeat("x", maxLine+9)), []byte("error: object \x1b: gitattributesMissing: "), uint8(200))
	f.Fuzz(func(t *testing.T, stdout, stderr []byte, size uint8) {
		understand := func(size int) (*indexer, error) {
			x := &indexer{child: &child{name: "git index-pack"}}
			x.notes = fsckNotes{format: oid.SHA1, most: defaultMaxUnchecked, missing: make(specialFiles)}
			x.out.line, x.errors.line = x.notes.stdout, x.notes.stderr
			for part := range slices.Chunk(stdout, size) {
				x.out.Write(part)
			}
			for part := range slices.Chunk(stderr, size) {
				x.errors.Write(part)
			}
			return x, x.done(nil)
		}
		whole, err := understand(max(len(stdout), len(stderr), 1))
		if err == nil {
			if _, notHex := hex.DecodeString(whole.notes.pack); notHex != nil || len(whole.notes.pack) != 40 {
				t.Errorf("the pack has the name %q", whole.notes.pack)
			}
		} else if strings.ContainsFunc(err.Error(), isControl) {
			t.Errorf("the error is %q", err)
		}
		allNamed(t, whole.notes.missing)
		parts, _ := understand(int(size) + 1)
		a, b := &whole.notes, &parts.notes
		if a.pack != b.pack || a.ended != b.ended || a.other != b.other || !maps.Equal(a.missing, b.missing) {
			t.Errorf("whole: %q %v %v %v, in parts: %q %v %v %v", a.pack, a.ended, a.other, a.missing, b.pack, b.ended, b.other, b.missing)
		}
	})
}

// allNamed checks that each special file that is waited for has a name and a use.
func allNamed(t *testing.T, missing specialFiles) {
	t.Helper()
	for name, file := range missing {
		if len(name) != 20 || file == 0 || file&^(modulesFile|attributesFile) != 0 {
			t.Errorf("%q is missing as %d", name, file)
		}
	}
}

// FuzzPackHeader: a header that was taken apart marshals to what came, however it came, and nothing behind it is touched.
func FuzzPackHeader(f *testing.F) {
	f.Add([]byte("PACK\x00\x00\x00\x02\x00\x00\x00\x12rest"), uint8(0))
	f.Add([]byte("PACK\x00\x00\x00\x04\xff\xff\xff\xff"), uint8(5))
	f.Add([]byte("HTTP/1.1 400"), uint8(3))
	f.Fuzz(func(t *testing.T, data []byte, size uint8) {
		var h packHeader
		seen := 0
		for part := range slices.Chunk(data, int(size)+1) {
			seen += h.see(part)
		}
		if seen != min(len(data), len(h.b)) || h.whole() != (seen == len(h.b)) || !bytes.Equal(h.b[:seen], data[:seen]) {
			t.Fatalf("%d of %d bytes are seen, as %q", seen, len(data), h.b[:seen])
		}
		n, ok := h.objects()
		if !ok {
			return
		}
		for _, version := range []uint32{2, 3} {
			back := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32([]byte("PACK"), version), n)
			if bytes.Equal(back, data[:len(back)]) {
				return
			}
		}
		t.Errorf("%q has %d objects", data, n)
	})
}

// FuzzFailure: whatever git says before it fails, our error is one line without a control character, and as little of it
// is kept as one can read.
func FuzzFailure(f *testing.F) {
	f.Add([]byte("error: bad object \x1b[2J\nfatal: stop\r\n"), uint8(3))
	f.Add(bytes.Repeat([]byte("remote: x\n"), tailSize/5), uint8(255))
	f.Fuzz(func(t *testing.T, said []byte, size uint8) {
		c := &child{name: "git index-pack"}
		for part := range slices.Chunk(said, int(size)+1) {
			c.stderr.Write(part)
			if len(c.stderr.b) > tailSize {
				t.Fatalf("%d bytes are kept", len(c.stderr.b))
			}
		}
		if err := c.explain(io.ErrUnexpectedEOF); strings.ContainsFunc(err.Error(), isControl) {
			t.Errorf("the error is %q", err)
		}
	})
}

func isControl(c rune) bool { return c < ' ' || c == 0x7f }

// FuzzChanges: paths are whatever a tree holds, and come back as they are.
func FuzzChanges(f *testing.F) {
	f.Add("M\x00a file\x00D\x00dir/\n\x1b\xff\x00")
	f.Add("M\x00A\x00A")
	f.Fuzz(func(t *testing.T, said string) {
		changes, err := parseChanges(said)
		if err != nil {
			if strings.ContainsFunc(err.Error(), isControl) {
				t.Errorf("the error is %q", err)
			}
			return
		}
		var again strings.Builder
		for _, path := range slices.Sorted(maps.Keys(changes)) {
			again.WriteString(string([]byte{changes[path]}) + "\x00" + path + "\x00")
		}
		// One that comes twice counts as the last one says.
		if once, err := parseChanges(again.String()); err != nil || !maps.Equal(once, changes) || again.Len() > len(said) {
			t.Errorf("%q became %q, %v", said, again.String(), err)
		}
	})
}

// FuzzAlternate: git finds the objects of a directory whatever its name, and those of the next one in the list.
func FuzzAlternate(f *testing.F) {
	for _, name := range []string{"objects", "a:b", `"`, `a"b`, "a\nb", `a\b`, "#", " ", "\xff\x1b\t", `:"\`, `\n:`} {
		f.Add(name)
	}
	here, there, other := gittest.New(f), gittest.New(f), gittest.New(f)
	one, two := there.GitIn("one", "hash-object", "-w", "--stdin"), other.GitIn("two", "hash-object", "-w", "--stdin")
	base := f.TempDir()
	at, own, others := there.ObjectDir(), here.ObjectDir(), other.ObjectDir()
	g := Git{Dir: here.Dir, Env: here.Env}
	f.Fuzz(func(t *testing.T, name string) {
		if name == "" || name == "." || name == ".." || len(name) > 200 || strings.ContainsAny(name, "/\x00") {
			return // not the name of a directory
		}
		to := filepath.Join(base, name)
		if at != to {
			if err := os.Rename(at, to); err != nil {
				t.Fatal(err)
			}
		}
		at = to
		s := &Store{git: g, objectDir: to, format: oid.SHA1}
		c := g.command(t.Context(), s.quarantineEnv(own, others), "cat-file", "--batch-check")
		c.Stdin = strings.NewReader(one + "\n" + two + "\n")
		out, err := c.Output()
		if err != nil || strings.Count(string(out), " blob 3\n") != 2 {
			t.Errorf("%q: git says %q, %v", name, out, c.explain(err))
		}
	})
}

// FuzzConfig: the configuration that is listed once has the same values for our keys, and for those of a remote of any
// name, as git has when asked for each.
func FuzzConfig(f *testing.F) {
	f.Add([]byte("[aig]\n\ttrust = SHA256:x\n\tTRUST = y # z\n\trefs\n"), "origin")
	f.Add([]byte("[remote \"a.B\\\"c\"]\n\turl = \"aig::sh -c \\\"x\\ny\\\" \"\n[Aig]\ntrust=\n"), "a.B\"c")
	f.Add([]byte("[aig]\n\ttrust\n[remote.A.b]url=1\n[remote \"a.b\"]URL=\xff\n[aig]trust = -7\\\n0"), "A.b")
	f.Add([]byte("[broken\n"), "")
	dir := f.TempDir()
	file := filepath.Join(dir, "config")
	env := append(gittest.Env(f), "GIT_CONFIG_GLOBAL="+file)
	f.Fuzz(func(t *testing.T, text []byte, remote string) {
		if bytes.Contains(bytes.ToLower(text), []byte("include")) || strings.ContainsAny(remote, "\n\x00") {
			return // another file, which may be any on this machine; and what RemoteURL takes for no name
		}
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		settings := new(Settings)
		for _, key := range []string{"aig.trust", "remote." + remote + ".url"} {
			asked, err := Git{Dir: dir, Env: env}.ConfigAll(t.Context(), key)
			listed, listErr := Git{Dir: dir, Env: env, Settings: settings}.ConfigAll(t.Context(), key)
			if listErr != nil && strings.ContainsFunc(listErr.Error(), isControl) {
				t.Errorf("the error is %q", listErr)
			}
			if (err == nil) != (listErr == nil) || !slices.Equal(asked, listed) {
				t.Errorf("%q: git says %q, %v, and lists %q, %v", key, asked, err, listed, listErr)
			}
		}
	})
}

// FuzzSettings: a size, a duration, a number and a severity is one, or there is an error that names the variable and shows
// nothing raw; and git gets nothing for an option but messages and severities.
func FuzzSettings(f *testing.F) {
	f.Add("1g", "2h", "100", "missingEmail", "warn")
	f.Add("-1", "-1s", "-7", "zeroPaddedFilemode", "IGNORE")
	f.Add("9223372036854775807k", "1e9h", "1.5", "noSuchMessage", "error")
	f.Add("0x10\n", "\x1b[2J", "\xff", "a.b c", "error,badTree=ignore")
	f.Add("", "", "", "gitmodulesMissing", "")
	dir := f.TempDir()
	env := gittest.Env(f)
	f.Fuzz(func(t *testing.T, size, duration, limit, message, severity string) {
		values := []string{size, size, duration, limit, severity}
		keys := []string{"aig.maxInputSize", "aig.maxMemory", "aig.maxIndexTime", "fetch.unpackLimit", "fetch.fsck." + message}
		if len(strings.Join(append(values, keys...), "")) > 2000 || strings.Contains(strings.Join(append(values, keys...), ""), "\x00") {
			return // no variables of an environment
		}
		if strings.EqualFold(message, "skipList") {
			return // a file, which may be any on this machine
		}
		g := Git{Dir: dir, Settings: new(Settings)}
		g.Env = append(slices.Clone(env), "GIT_CONFIG_COUNT="+strconv.Itoa(len(keys)))
		for i, key := range keys {
			n := strconv.Itoa(i)
			g.Env = append(g.Env, "GIT_CONFIG_KEY_"+n+"="+key, "GIT_CONFIG_VALUE_"+n+"="+values[i])
		}
		plain := func(what string, err error) {
			if err != nil && strings.ContainsFunc(err.Error(), isControl) {
				t.Errorf("%s: the error is %q", what, err)
			}
		}
		b := new(budget)
		err := b.read(t.Context(), g)
		plain("budget", err)
		if err == nil && (b.maxInput < 0 || b.maxTime < 0) {
			t.Errorf("%q and %q are taken for %d and %d", size, duration, b.maxInput, b.maxTime)
		}
		memory, err := readMaxMemory(t.Context(), g)
		plain("memory", err)
		if err == nil && memory < 0 {
			t.Errorf("%q is taken for %d", size, memory)
		}
		n, err := unpackLimit(t.Context(), g)
		plain("limit", err)
		if err == nil && n < 0 {
			t.Errorf("%q is taken for %d", limit, n)
		}
		c, err := readChecks(t.Context(), g)
		plain("severities", err)
		if err == nil && c.severities != "" && c.severities != strings.ToLower(message)+"="+severity {
			t.Errorf("%q=%q becomes %q", message, severity, c.severities)
		}
		if strings.Trim(c.severities, "abcdefghijklmnopqrstuvwxyz0123456789=") != "" || strings.Count(c.severities, "=") > 1 {
			t.Errorf("git gets %q", c.severities)
		}
	})
}

// FuzzHideRefs: whatever transfer.hideRefs says, what git upload-pack would not tell is not told.
func FuzzHideRefs(f *testing.F) {
	for _, values := range []string{"refs/heads/a", "refs/heads\n!refs/heads/main", "^refs/tags/\n!refs/tags/v1", "HEAD", "!", "^", "", "refs/heads/main//", "!^refs/heads/a/b"} {
		f.Add(values)
	}
	r := gittest.New(f)
	commit := r.Commit("file", "content")
	names := []string{"HEAD", "refs/heads/a/b", "refs/heads/ab", "refs/heads/main", "refs/heads/main2", "refs/tags/v1"}
	r.Git("symbolic-ref", "HEAD", "refs/heads/main")
	for _, name := range names[1:] {
		r.Git("update-ref", name, commit)
	}
	f.Fuzz(func(t *testing.T, values string) {
		if len(values) > 500 || strings.Contains(values, "\x00") {
			return // no variable of an environment
		}
		env := slices.Clone(r.Env)
		all := strings.Split(values, "\n")
		for i, value := range all {
			key := []string{"transfer.hideRefs", "uploadpack.hideRefs"}[i%2]
			env = append(env, "GIT_CONFIG_KEY_"+strconv.Itoa(i)+"="+key, "GIT_CONFIG_VALUE_"+strconv.Itoa(i)+"="+value)
		}
		g := Git{Dir: r.Dir, Env: append(env, "GIT_CONFIG_COUNT="+strconv.Itoa(len(all)))}
		hidden, err := (&Store{git: g, format: oid.SHA1}).hiddenRefs(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		c := g.command(t.Context(), nil, "upload-pack", "--advertise-refs", ".")
		out, err := c.Output()
		if err != nil {
			t.Fatal(c.explain(err))
		}
		for _, name := range names {
			told := bytes.Contains(out, []byte(" "+name+"\n")) || bytes.Contains(out, []byte(" "+name+"\x00"))
			if told == hidden.hides(name) {
				t.Errorf("%q: git tells %s: %v, and we hide it: %v", all, name, told, !told)
			}
		}
	})
}
