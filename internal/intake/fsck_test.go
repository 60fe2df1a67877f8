package intake

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"

	"aig/internal/git"
	"aig/internal/gittest"
	"aig/internal/oid"
)

// tree stores a tree of blobs under the given names, which may hold anything but NUL and a slash.
func tree(r *gittest.Repo, names []string, blobs []string) string {
	var in strings.Builder
	for i, name := range names {
		fmt.Fprintf(&in, "100644 blob %s\t%s\x00", blobs[i], name)
	}
	return r.GitIn(in.String(), "mktree", "-z")
}

// named returns a list of the given names.
func named(t *testing.T, names ...string) *oid.List {
	t.Helper()
	l := oid.NewList(oid.SHA1)
	for _, text := range names {
		name, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		l.Append(name)
	}
	return l
}

// A .gitmodules or .gitattributes that git rejects is rejected wherever it is: in the pack of the tree that names it, in
// an earlier one, in a later one, and in one that is received at the same time. A good one passes, and so does a tree
// whose file never arrives.
func TestSpecialFilesInOtherPacks(t *testing.T) {
	t.Parallel()
	t.Run("checks as they are", func(t *testing.T) { testSpecialFiles(t) })
	// git must report missing files, whatever severity the user gives that.
	t.Run("severities", func(t *testing.T) { testSpecialFiles(t, "hasDotgit", "gitmodulesMissing", "gitattributesMissing") })
}

func testSpecialFiles(t *testing.T, ignored ...string) {
	for file, content := range map[string][2]string{
		".gitmodules":    {"[submodule \"a\"]\n\tpath = a\n\turl = https://example.com/a\n", "[submodule \"a\"]\n\tpath = a\n\turl = --upload-pack=touch\n"},
		".gitattributes": {"*.c text\n", "*.c " + strings.Repeat("x", 3000) + "\n"},
	} {
		for i, bad := range []bool{false, true} {
			from := gittest.New(t)
			blob := from.GitIn(content[i], "hash-object", "-w", "--stdin")
			tree := tree(from, []string{file}, []string{blob})
			s := open(t, from)
			treePack, blobPack := pack(t, s, all(named(t, tree))), pack(t, s, all(named(t, blob)))
			take := func(t *testing.T, s *Store, packs ...[]byte) (rejected bool) {
				t.Helper()
				var arrived []*Incoming
				for _, pack := range packs {
					in, err := receive(t, s, pack)
					if err == nil {
						arrived = append(arrived, in)
						continue
					}
					rejected = true
				}
				for _, in := range arrived {
					switch err := in.Install(); {
					case errors.As(err, new(*PackError)):
						rejected = true
					case err != nil:
						t.Fatal(err)
					}
				}
				return rejected
			}
			for way, taken := range map[string]func(*testing.T, *Store) bool{
				"one pack": func(t *testing.T, to *Store) bool {
					return take(t, to, pack(t, s, all(named(t, tree, blob))))
				},
				"tree first":                    func(t *testing.T, to *Store) bool { return take(t, to, treePack) || take(t, to, blobPack) },
				"file first":                    func(t *testing.T, to *Store) bool { return take(t, to, blobPack) || take(t, to, treePack) },
				"tree first, both on their way": func(t *testing.T, to *Store) bool { return take(t, to, treePack, blobPack) },
				"file first, both on their way": func(t *testing.T, to *Store) bool {
					tree, err := receive(t, to, treePack)
					if err != nil {
						t.Fatal(err)
					}
					return take(t, to, blobPack) || tree.Install() != nil
				},
				"tree only": func(t *testing.T, to *Store) bool { return take(t, to, treePack) },
			} {
				t.Run(fmt.Sprintf("%s, bad %v, %s", file, bad, way), func(t *testing.T) {
					to := gittest.New(t)
					for _, message := range ignored {
						to.Git("config", "fetch.fsck."+message, "ignore")
					}
					store := open(t, to)
					if got, want := taken(t, store), bad && way != "tree only"; got != want {
						t.Errorf("rejected: %v", got)
					}
					objects := to.Objects()
					if bad && strings.Contains(objects, tree) && strings.Contains(objects, blob) {
						t.Error("both are in the store")
					}
					if !bad && way != "tree only" && objects != from.Objects() {
						t.Error("the stores are not equal")
					}
				})
			}
		}
	}
}

// Only missing special files are forgiven: any other line of git's is not, nor the absence of its last one.
func TestOnlyMissingSpecialFilesAreForgiven(t *testing.T) {
	const (
		name = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
		miss = "error: object " + name + ": gitattributesMissing: unable to read .gitattributes blob\n"
		last = "fatal: fsck error in pack objects\n"
	)
	for said, forgiven := range map[string]bool{
		miss + last: true, "warning: object x: y\n" + miss + last: true, last + miss: true, miss + strings.TrimSuffix(last, "\n"): true,
		miss: false, "": false,
		miss + "error: object " + name + ": gitattributesLarge: unable\n" + last:         false,
		"error: object " + name + ": gitmodulesUrl: disallowed\n" + miss + last:          false,
		"error: object 12: gitattributesMissing: unable\n" + last:                        false,
		miss + "error: " + strings.Repeat("x", 30_000) + "\n" + last:                     false,
		miss + strings.Repeat("x", 30_000) + last:                                        false,
		miss + "fatal: fsck error in packed object\n":                                    false,
		miss + "error: inflate: data stream error\n" + last + strings.Repeat(miss, 1000): false,
	} {
		for _, size := range []int{1, 7, 1 << 20} {
			x := notStarted(t, defaultMaxUnchecked)
			x.out.Write([]byte("pack\t" + name + "\n"))
			for rest := said; rest != ""; {
				n := min(size, len(rest))
				x.Stderr.Write([]byte(rest[:n]))
				rest = rest[n:]
			}
			x.Stderr.(*git.LineWriter).Close()
			if got := x.done(errors.New("exit status 128")) == nil; got != forgiven {
				t.Errorf("in parts of %d: %.200q: forgiven %v", size, said, got)
			}
		}
	}
}
