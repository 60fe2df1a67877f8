package intake

import (
	"encoding/hex"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"aig/internal/git"
	"aig/internal/gittest"
	"aig/internal/oid"
	"aig/internal/ref"
)

// FuzzNotes: however the output of git index-pack is split, it is understood alike; the pack's name, which becomes part of
// a path, is hexadecimal digits, and every missing file has an object name.
func FuzzNotes(f *testing.F) {
	name := strings.Repeat("a1", 20)
	f.Add([]byte("pack\t"+name+"\n"+name+"\n"), []byte("error: object "+name+": gitattributesMissing: unable to read\nfatal: fsck error in pack objects\n"), uint8(1))
	f.Add([]byte("pack\t../../../"+name[9:]+"\n"), []byte("warning: x\nfatal: y"), uint8(7))
	f.Add([]byte(strings.Repeat("x", 9000)), []byte("error: object \x1b: gitattributesMissing: "), uint8(200))
	f.Fuzz(func(t *testing.T, stdout, stderr []byte, size uint8) {
		understand := func(size int) (*indexer, error) {
			x := notStarted(t, defaultMaxUnchecked)
			for part := range slices.Chunk(stdout, size) {
				x.out.Write(part)
			}
			for part := range slices.Chunk(stderr, size) {
				x.Stderr.Write(part)
			}
			x.Stderr.(*git.LineWriter).Close()
			return x, x.done(nil)
		}
		whole, err := understand(max(len(stdout), len(stderr), 1))
		if err == nil {
			if _, notHex := hex.DecodeString(whole.pack); notHex != nil || len(whole.pack) != 40 {
				t.Errorf("the pack has the name %q", whole.pack)
			}
		} else if ref.HasControl(err.Error()) {
			t.Errorf("the error is %q", err)
		}
		allNamed(t, whole.missing)
		parts, _ := understand(int(size) + 1)
		a, b := whole, parts
		if a.pack != b.pack || a.ended != b.ended || a.other != b.other || !maps.Equal(a.missing, b.missing) {
			t.Errorf("whole: %q %v %v %v, in parts: %q %v %v %v", a.pack, a.ended, a.other, a.missing, b.pack, b.ended, b.other, b.missing)
		}
	})
}

// allNamed checks that each missing special file has an object name and a known path.
func allNamed(t *testing.T, missing specialFiles) {
	t.Helper()
	for file := range missing {
		if len(file.blob) != 20 || file.path != modules && file.path != attributes {
			t.Errorf("%q is missing", file)
		}
	}
}

// FuzzAlternate: whatever the name of a directory, git finds its objects, and those of the next one in the list.
func FuzzAlternate(f *testing.F) {
	for _, name := range []string{"objects", "a:b", `"`, `a"b`, "a\nb", `a\b`, "#", " ", "\xff\x1b\t", `:"\`, `\n:`} {
		f.Add(name)
	}
	here, there, other := gittest.New(f), gittest.New(f), gittest.New(f)
	one, two := there.GitIn("one", "hash-object", "-w", "--stdin"), other.GitIn("two", "hash-object", "-w", "--stdin")
	base := f.TempDir()
	at, own, others := there.ObjectDir(), here.ObjectDir(), other.ObjectDir()
	g := git.Git{Dir: here.Dir, Env: here.Env}
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
		s := &Store{Repo: &git.Repo{Git: g, ObjectDir: to, Format: oid.SHA1}}
		c := g.Command(t.Context(), s.quarantineEnv(own, others), "cat-file", "--batch-check")
		c.Stdin = strings.NewReader(one + "\n" + two + "\n")
		out, err := c.Output()
		if err != nil || strings.Count(string(out), " blob 3\n") != 2 {
			t.Errorf("%q: git says %q, %v", name, out, err)
		}
	})
}

// FuzzSettings: a size, a number or a severity is valid, or there is an error that shows nothing raw; and the option
// that git gets has nothing in it but messages and severities.
func FuzzSettings(f *testing.F) {
	f.Add("1g", "100", "missingEmail", "warn")
	f.Add("-1", "-7", "zeroPaddedFilemode", "IGNORE")
	f.Add("9223372036854775807k", "1.5", "noSuchMessage", "error")
	f.Add("0x10\n", "\xff", "a.b c", "error,badTree=ignore")
	f.Add("", "", "gitmodulesMissing", "")
	dir := f.TempDir()
	env := gittest.Env(f)
	f.Fuzz(func(t *testing.T, size, limit, message, severity string) {
		values := []string{size, size, limit, severity}
		keys := []string{"aig.maxInputSize", "aig.maxMemory", "fetch.unpackLimit", "fetch.fsck." + message}
		if len(strings.Join(append(values, keys...), "")) > 2000 || strings.Contains(strings.Join(append(values, keys...), ""), "\x00") {
			return // the environment can't hold them
		}
		if strings.EqualFold(message, "skipList") {
			return // it names a file, which may be any on this machine
		}
		g := git.Git{Dir: dir, Settings: new(git.Settings)}
		g.Env = append(slices.Clone(env), "GIT_CONFIG_COUNT="+strconv.Itoa(len(keys)))
		for i, key := range keys {
			n := strconv.Itoa(i)
			g.Env = append(g.Env, "GIT_CONFIG_KEY_"+n+"="+key, "GIT_CONFIG_VALUE_"+n+"="+values[i])
		}
		plain := func(what string, err error) {
			if err != nil && ref.HasControl(err.Error()) {
				t.Errorf("%s: the error is %q", what, err)
			}
		}
		input, err := g.ConfigSize(t.Context(), "aig.maxInputSize", 0)
		plain("input", err)
		if err == nil && input < 0 {
			t.Errorf("%q is taken for %d", size, input)
		}
		memory, err := g.ConfigSize(t.Context(), "aig.maxMemory", 0)
		plain("memory", err)
		if err == nil && memory < 0 {
			t.Errorf("%q is taken for %d", size, memory)
		}
		n, err := unpackLimit(t.Context(), g)
		plain("limit", err)
		if err == nil && n < 0 {
			t.Errorf("%q is taken for %d", limit, n)
		}
		option, _, err := readChecks(t.Context(), g)
		plain("severities", err)
		severities := strings.TrimPrefix(strings.TrimPrefix(option, fsckOption), "=")
		if err == nil && severities != "" && severities != strings.ToLower(message)+"="+severity {
			t.Errorf("%q=%q becomes %q", message, severity, severities)
		}
		if strings.Trim(severities, "abcdefghijklmnopqrstuvwxyz0123456789=") != "" || strings.Count(severities, "=") > 1 {
			t.Errorf("git gets %q", severities)
		}
	})
}
