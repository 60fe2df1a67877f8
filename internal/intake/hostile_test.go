package intake

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"aig/internal/git"
	"aig/internal/gittest"
	"aig/internal/ref"
)

// hostile is an object that git's checks reject, and the message that must be demoted for it to pass; "" where none will do.
type hostile struct {
	kind    byte
	content string
	id      string
}

const (
	someBlob  = "\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\x12\x13\x14"
	someTree  = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
	author    = "author A <a@example.com> 1112911993 +0000\n"
	committer = "committer A <a@example.com> 1112911993 +0000\n"
)

// hostileObjects returns objects that point to absent ones, as those of shallow and partial stores do, so that only their
// own faults count.
func hostileObjects() map[string]hostile {
	tree := func(name string) string { return string(gittest.TreeEntry("100644", name, []byte(someBlob))) }
	dir := func(name string) string { return string(gittest.TreeEntry("40000", name, []byte(someBlob))) }
	return map[string]hostile{
		".git":                          {gittest.PackTree, dir(".git"), "hasDotgit"},
		".GIT":                          {gittest.PackTree, dir(".GIT"), "hasDotgit"},
		"git~1":                         {gittest.PackTree, dir("git~1"), "hasDotgit"},
		"GIT~1":                         {gittest.PackTree, tree("GIT~1"), "hasDotgit"},
		".git for HFS+":                 {gittest.PackTree, dir(".g\u200cit"), "hasDotgit"},
		".git for HFS+, more of it":     {gittest.PackTree, dir("\u200e.\u202eG\ufeffiT\u206f"), "hasDotgit"},
		".git for NTFS":                 {gittest.PackTree, dir(".git. . "), "hasDotgit"},
		".git, a stream":                {gittest.PackTree, dir(".git::$INDEX_ALLOCATION"), "hasDotgit"},
		".git, backslash":               {gittest.PackTree, tree(`.git\config`), "hasDotgit"},
		".":                             {gittest.PackTree, dir("."), "hasDot"},
		"..":                            {gittest.PackTree, dir(".."), "hasDotdot"},
		"no name":                       {gittest.PackTree, tree(""), ""},
		"slash":                         {gittest.PackTree, tree("a/b"), "fullPathname"},
		"slash first":                   {gittest.PackTree, tree("/etc/passwd"), "fullPathname"},
		"twice":                         {gittest.PackTree, tree("a") + tree("a"), "duplicateEntries"},
		"twice, a file and a directory": {gittest.PackTree, tree("a") + string(gittest.TreeEntry("40000", "a", []byte(someBlob[1:]+"x"))), "duplicateEntries"},
		"out of order":                  {gittest.PackTree, tree("b") + tree("a"), "treeNotSorted"},
		"mode with a zero":              {gittest.PackTree, string(gittest.TreeEntry("040000", "a", []byte(someBlob))), "zeroPaddedFilemode"},
		"name of zeros":                 {gittest.PackTree, string(gittest.TreeEntry("100644", "a", make([]byte, 20))), "nullSha1"},
		".gitmodules is a link":         {gittest.PackTree, string(gittest.TreeEntry("120000", ".gitmodules", []byte(someBlob))), "gitmodulesSymlink"},

		"commit of nobody": {gittest.PackCommit, "tree " + someTree + "\n" + committer + "\n", "missingAuthor"},
		"two authors":      {gittest.PackCommit, "tree " + someTree + "\n" + author + author + committer + "\n", "multipleAuthors"},
		"no committer":     {gittest.PackCommit, "tree " + someTree + "\n" + author + "\n", "missingCommitter"},
		"bad date":         {gittest.PackCommit, "tree " + someTree + "\n" + strings.Replace(author, "1112911993", "01", 1) + committer + "\n", "zeroPaddedDate"},
		"huge date":        {gittest.PackCommit, "tree " + someTree + "\n" + strings.Replace(author, "1112911993", strings.Repeat("9", 30), 1) + committer + "\n", "badDateOverflow"},
		"bad zone":         {gittest.PackCommit, "tree " + someTree + "\n" + strings.Replace(author, "+0000", "west", 1) + committer + "\n", "badTimezone"},
		"bad address":      {gittest.PackCommit, "tree " + someTree + "\nauthor A <a> b@c> 1 +0000\n" + committer + "\n", "badDate"},
		"NUL in a message": {gittest.PackCommit, "tree " + someTree + "\n" + author + committer + "\na\x00b", "nulInCommit"},
		"NUL in a header":  {gittest.PackCommit, "tree " + someTree + "\n" + author + "x \x00\n" + committer + "\n", ""},
		"no end of header": {gittest.PackCommit, "tree " + someTree + "\n" + author[:len(author)-1], ""},
		"tag of no type":   {gittest.PackTag, "object " + someTree + "\ntag v1\n", ""},
	}
}

// taken reports whether a pack of that object alone is accepted, and why not.
func taken(t *testing.T, to *gittest.Repo, store *Store, h hostile) (bool, error) {
	t.Helper()
	var p gittest.Pack
	name := hex.EncodeToString(p.Object(h.kind, []byte(h.content)))
	err := accept(t, store, p.Bytes(), []string{name})
	if err != nil && !ofPeer(err) {
		t.Errorf("%q: %v", h.content, err)
	}
	if is := strings.Contains(to.Objects(), name); is != (err == nil) {
		t.Errorf("%q: in the store: %v, %v", h.content, is, err)
	}
	return err == nil, err
}

// What git's own checks reject is refused by default, whatever the store lacks of what it points to, and the store is
// unchanged.
func TestHostileObjects(t *testing.T) {
	objects := hostileObjects()
	strict := gittest.New(t)
	before := strict.Files()
	store := open(t, strict)
	for _, name := range slices.Sorted(maps.Keys(objects)) {
		h := objects[name]
		ok, err := taken(t, strict, store, h)
		if ok {
			t.Errorf("%s: taken in", name)
			continue
		}
		t.Logf("%-24s %v", name, err)
		if h.id != "" && !strings.Contains(err.Error(), h.id+": ") {
			t.Errorf("%s: %v; want %s", name, err, h.id)
		}
		unchanged(t, name, strict, before)
	}
}

// needSeverities skips a test if this git can't follow severities.
func needSeverities(t *testing.T) {
	t.Helper()
	to := gittest.New(t)
	to.Git("config", "fetch.fsck.hasDotgit", "ignore")
	if open(t, to).Warning != "" {
		gittest.Skip(t, "this git is older than 2.44, and follows no fetch.fsck.<msg-id>")
	}
}

// If this git can't follow severities, opening the store gives a warning, objects are checked as by default, and the
// refusal of one repeats the warning.
func TestSeveritiesNeedNewerGit(t *testing.T) {
	to := gittest.New(t)
	to.Git("config", "fetch.fsck.hasDotgit", "ignore")
	gittest.Instead(t, "index-pack", `case "$2" in --fsck-objects=*) exit 129;; esac; exec "$git" "$@"`)
	store := open(t, to)
	if !strings.Contains(store.Warning, "2.44") {
		t.Errorf("the warning is %q", store.Warning)
	}
	ok, err := taken(t, to, store, hostileObjects()[".git"])
	if ok || !strings.Contains(err.Error(), "hasDotgit: ") || !strings.Contains(err.Error(), store.Warning) {
		t.Errorf("taken in: %v, %v", ok, err)
	}
	if err := accept(t, store, []byte("PACK\x00\x00\x00\x02\x00\x00\x00\x01x"), nil); err == nil || strings.Contains(err.Error(), "2.44") {
		t.Errorf("what is no object: %v", err)
	}
}

// What git's checks reject is accepted if the user has demoted the message, and only then.
func TestSeverities(t *testing.T) {
	needSeverities(t)
	objects := hostileObjects()
	for _, limit := range []string{"0", "100"} {
		lax := gittest.New(t)
		lax.Git("config", "fetch.unpackLimit", limit)
		demoted := []string{"hasDotgit", "hasDot", "hasDotdot", "fullPathname", "duplicateEntries", "treeNotSorted",
			"zeroPaddedFilemode", "nullSha1", "gitmodulesSymlink", "missingAuthor", "multipleAuthors", "zeroPaddedDate"}
		for i, id := range demoted {
			lax.Git("config", "fetch.fsck."+id, []string{"warn", "ignore"}[i%2])
		}
		// None of these applies to what a peer sends.
		lax.Git("config", "fsck.badTimezone", "ignore")
		lax.Git("config", "receive.fsck.badTimezone", "ignore")
		lax.Git("config", "fetch.fsck.noSuchMessage", "ignore")
		global := filepath.Join(t.TempDir(), "config")
		if err := os.WriteFile(global, []byte("[fsck]\n\tbadTimezone = ignore\n"), 0o666); err != nil {
			t.Fatal(err)
		}
		lax.Env = append(lax.Env, "GIT_CONFIG_GLOBAL="+global)
		store := open(t, lax)
		for _, name := range slices.Sorted(maps.Keys(objects)) {
			h := objects[name]
			if ok, err := taken(t, lax, store, h); ok != slices.Contains(demoted, h.id) {
				t.Errorf("unpackLimit %s: %s: taken in: %v (%v)", limit, name, ok, err)
			}
		}
	}
}

// An object on a list passes, and others that are as bad don't; of several lists, each counts.
func TestSkipList(t *testing.T) {
	needSeverities(t)
	objects := hostileObjects()
	to := gittest.New(t)
	var p gittest.Pack
	for i, name := range []string{".git", "two authors"} {
		list := filepath.Join(t.TempDir(), "list")
		line := fmt.Sprintf("# one\n%x\n", p.Name(objects[name].kind, []byte(objects[name].content)))
		if err := os.WriteFile(list, []byte(line), 0o666); err != nil {
			t.Fatal(err)
		}
		to.Git("config", "--add", "fetch.fsck.skipList", list)
		store := open(t, to)
		for j, name := range []string{".git", "two authors", "git~1", "no committer"} {
			if ok, err := taken(t, to, store, objects[name]); ok != (j <= i) {
				t.Errorf("%d lists: %s: taken in: %v (%v)", i+1, name, ok, err)
			}
		}
	}
}

// A configuration that git would reject too is an error when the store is opened, which names the variable, and is not
// held against the peer's packs.
func TestBadSeverities(t *testing.T) {
	needSeverities(t)
	for key, value := range map[string]string{
		"fetch.fsck.badDate": "sometimes", "fetch.fsck.skipList": "/no/such/list", "fetch.fsck.nulInHeader": "ignore",
	} {
		to := gittest.New(t)
		to.Git("config", key, value)
		for _, settings := range []*git.Settings{nil, new(git.Settings)} {
			_, err := Open(t.Context(), git.Git{Dir: to.Dir, Env: to.Env, Settings: settings})
			if err == nil || !strings.Contains(err.Error(), "fetch.fsck.") {
				t.Errorf("%s=%s: %v", key, value, err)
			}
		}
		to.Git("config", "transfer.fsckObjects", "false")
		if _, err := Open(t.Context(), git.Git{Dir: to.Dir, Env: to.Env}); err != nil {
			t.Errorf("%s=%s, and no checks: %v", key, value, err)
		}
	}
}

// Severities change nothing else about a check: a thin pack's bases are ours, and not checked; a missing object is no
// failure; and a pack that git can't index is refused as ever.
func TestSeveritiesAndOtherErrors(t *testing.T) {
	needSeverities(t)
	to := gittest.New(t)
	to.Git("config", "fetch.fsck.hasDotgit", "ignore")
	var p gittest.Pack
	bad := gittest.TreeEntry("100644", "a/b", []byte(someBlob))
	name := to.GitIn(string(bad), "hash-object", "-w", "-t", "tree", "--literally", "--stdin")
	worse := slices.Concat(bad, gittest.TreeEntry("100644", "ok", []byte(someBlob)))
	good := slices.Concat(gittest.TreeEntry("100644", "ok", []byte(someBlob)))
	base, err := hex.DecodeString(name)
	if err != nil {
		t.Fatal(err)
	}
	p.RefDelta(base, gittest.Delta(uint64(len(bad)), uint64(len(good)), gittest.Insert(string(good))))
	names := []string{name, hex.EncodeToString(p.Name(gittest.PackTree, good))}
	slices.Sort(names)
	if err := accept(t, open(t, to), p.Bytes(), names); err != nil {
		t.Errorf("a base of ours that is bad: %v", err)
	}
	before := to.Files()
	p = gittest.Pack{}
	p.RefDelta(base, gittest.Delta(uint64(len(bad)), uint64(len(worse)), gittest.Insert(string(worse))))
	if err := accept(t, open(t, to), p.Bytes(), nil); !ofPeer(err) || !strings.Contains(err.Error(), "fullPathname: ") {
		t.Errorf("an object that is as bad as its base: %v", err)
	}
	store := open(t, to)
	for name, bad := range badPacks(base) {
		if err := accept(t, store, bad.pack, nil); err == nil {
			t.Errorf("%s: taken in", name)
		}
	}
	unchanged(t, "severities", to, before)
}

// hostileModules are the .gitmodules files known to git's checks that make an old git do what the peer wants.
var hostileModules = map[string]string{
	"url is an option":     "[submodule \"a\"]\n\tpath = a\n\turl = --upload-pack=touch\n",
	"path is an option":    "[submodule \"a\"]\n\tpath = -a\n\turl = https://example.com/a\n",
	"name leaves":          "[submodule \"../../hooks\"]\n\tpath = a\n\turl = https://example.com/a\n",
	"update is a command":  "[submodule \"a\"]\n\tpath = a\n\turl = https://example.com/a\n\tupdate = !touch x\n",
	"url has a line feed":  "[submodule \"a\"]\n\tpath = a\n\turl = \"https://example.com/\\nhost=x\"\n",
	"url without a host":   "[submodule \"a\"]\n\tpath = a\n\turl = https:///example.com/a\n",
	"lies about the error": "[submodule \"a\"]\n\tpath = a\n\turl = \"-\\nfatal: x\\nerror: \x1b[31mNo space left on device\"\n",
}

// Within a run, a hostile .gitmodules is refused in the pack of its tree, in an earlier one and in a later one. Of two runs,
// the tree is refused if it comes in the second; if it came in the first, nothing is: docs/security.md says so.
func TestHostileModules(t *testing.T) {
	for _, name := range slices.Sorted(maps.Keys(hostileModules)) {
		content := []byte(hostileModules[name])
		var both, trees, blobs gittest.Pack
		blob := blobs.Object(gittest.PackBlob, content)
		tree := gittest.TreeEntry("100644", ".gitModules", blob) // the same file where the file system ignores case
		treeName := hex.EncodeToString(trees.Object(gittest.PackTree, tree))
		both.Object(gittest.PackTree, tree)
		both.Object(gittest.PackBlob, content)
		blobName := hex.EncodeToString(blob)
		for way, c := range map[string]struct {
			packs []*gittest.Pack
			names [][]string
			runs  bool // each pack in a run of its own
			taken int
		}{
			"one pack":             {[]*gittest.Pack{&both}, [][]string{{blobName, treeName}}, false, 0},
			"tree first":           {[]*gittest.Pack{&trees, &blobs}, [][]string{{treeName}, {blobName}}, false, 1},
			"file first":           {[]*gittest.Pack{&blobs, &trees}, [][]string{{blobName}, {treeName}}, false, 1},
			"file first, two runs": {[]*gittest.Pack{&blobs, &trees}, [][]string{{blobName}, {treeName}}, true, 1},
			"tree first, two runs": {[]*gittest.Pack{&trees, &blobs}, [][]string{{treeName}, {blobName}}, true, 2},
		} {
			to := gittest.New(t)
			store := open(t, to)
			taken := 0
			for i, p := range c.packs {
				if i > 0 && c.runs {
					store = open(t, to)
				}
				before := to.Files()
				slices.Sort(c.names[i])
				err := accept(t, store, p.Bytes(), c.names[i])
				if err == nil {
					taken++
					continue
				}
				if !ofPeer(err) || !strings.HasPrefix(err.Error(), "object ") || ref.HasControl(err.Error()) {
					t.Errorf("%s, %s: %v", name, way, err)
				}
				unchanged(t, name+", "+way, to, before)
			}
			if taken != c.taken {
				t.Errorf("%s, %s: %d packs taken, want %d", name, way, taken, c.taken)
			}
		}
	}
}

// A file that trees name under both paths is checked as both, whichever of the trees comes last.
func TestFileOfTwoNames(t *testing.T) {
	t.Parallel()
	for i, content := range []string{hostileModules["url is an option"], "# " + "\n*.c " + strings.Repeat("x", 3000) + "\n"} {
		for _, order := range [][]string{{".gitmodules", ".gitattributes"}, {".gitattributes", ".gitmodules"}} {
			to := gittest.New(t)
			store := open(t, to)
			var blobs gittest.Pack
			blob := blobs.Object(gittest.PackBlob, []byte(content))
			for _, name := range order {
				var trees gittest.Pack
				tree := trees.Object(gittest.PackTree, gittest.TreeEntry("100644", name, blob))
				if err := accept(t, store, trees.Bytes(), []string{hex.EncodeToString(tree)}); err != nil {
					t.Fatal(err)
				}
			}
			if err := accept(t, store, blobs.Bytes(), []string{hex.EncodeToString(blob)}); !ofPeer(err) {
				t.Errorf("%d, %v: %v", i, order, err)
			}
		}
		// Within one pack too.
		to := gittest.New(t)
		store := open(t, to)
		var blobs, trees gittest.Pack
		blob := blobs.Object(gittest.PackBlob, []byte(content))
		names := []string{
			hex.EncodeToString(trees.Object(gittest.PackTree, gittest.TreeEntry("100644", ".gitmodules", blob))),
			hex.EncodeToString(trees.Object(gittest.PackTree, gittest.TreeEntry("100644", ".gitattributes", blob))),
		}
		slices.Sort(names)
		if err := accept(t, store, trees.Bytes(), names); err != nil {
			t.Fatal(err)
		}
		if err := accept(t, store, blobs.Bytes(), []string{hex.EncodeToString(blob)}); !ofPeer(err) {
			t.Errorf("%d, two trees in a pack: %v", i, err)
		}
	}
}

// Trees that name more special files than can be remembered are refused: a file that was forgotten could still arrive. Those of a
// refused pack are not remembered, so others still get in.
func TestTooManySpecialFiles(t *testing.T) {
	const most = 200
	for file, n := range map[string]int{".gitmodules": most + 1, ".gitattributes": most + 1, "": most} {
		var p gittest.Pack
		names := make([]string, 0, n)
		blob := make([]byte, 20)
		for i := range n {
			binary.BigEndian.PutUint64(blob[2:], uint64(i)+1)
			name := file
			if name == "" {
				name = []string{".gitmodules", ".gitattributes"}[i%2]
			}
			names = append(names, hex.EncodeToString(p.Object(gittest.PackTree, gittest.TreeEntry("100644", name, blob))))
		}
		slices.Sort(names)
		to := gittest.New(t)
		store := open(t, to)
		store.unchecked.most = most
		err := accept(t, store, p.Bytes(), names)
		if file == "" {
			if err != nil || len(store.unchecked.files) != n {
				t.Errorf("%d: %v", n, err)
			}
			for range 2 {
				var more gittest.Pack
				blob[0]++
				tree := more.Object(gittest.PackTree, gittest.TreeEntry("100644", ".gitmodules", blob))
				err := accept(t, store, more.Bytes(), []string{hex.EncodeToString(tree)})
				if !ofPeer(err) || err.Error() != tooManyMissing || len(store.unchecked.files) != n {
					t.Errorf("one more: %v, and %d are remembered", err, len(store.unchecked.files))
				}
			}
		} else if !ofPeer(err) || err.Error() != tooManyMissing {
			t.Errorf("%d %s: %v", n, file, err)
		}
	}
}
