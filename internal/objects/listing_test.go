//go:build unix

package objects

import (
	"context"
	"encoding/hex"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"aig/internal/gittest"
)

// packed returns a repository with two packs of blobs, and their paths without extension.
func packed(t *testing.T) (r *gittest.Repo, paths [2]string) {
	t.Helper()
	r = gittest.New(t)
	for i, what := range []string{"some", "other"} {
		names := strings.Join(r.Blobs(what, 10), "\n")
		paths[i] = filepath.Join(r.ObjectDir(), "pack", "pack-"+r.GitIn(names, "pack-objects", "-q", filepath.Join(r.ObjectDir(), "pack", "pack")))
		r.Git("prune-packed", "-q")
	}
	return r, paths
}

// If a repack removes a pack before git has opened it, and git doesn't see its successor, the list is still complete.
func TestListAmidRepacking(t *testing.T) {
	r, paths := packed(t)
	want := r.Objects()
	s := open(t, r)
	once := filepath.Join(t.TempDir(), "once")
	// git sees one pack without its index; by the time it has ended, the same objects are in another.
	gittest.Instead(t, "cat-file", "ONCE="+once+" PACK="+paths[0]+`
if test ! -e "$ONCE"; then
	: >"$ONCE"
	mv "$PACK.idx" "$ONCE.idx"
	"$git" "$@"
	status=$?
	mv "$ONCE.idx" "$PACK-2.idx" && mv "$PACK.pack" "$PACK-2.pack"
	exit $status
fi
exec "$git" "$@"`)
	if got := hexNames(list(t, s)); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if _, err := os.Stat(once); err != nil {
		t.Error("nothing was tested")
	}
}

// A store that is repacked without end is not listed without end.
func TestListAmidEndlessRepacking(t *testing.T) {
	r, paths := packed(t)
	s := open(t, r)
	gittest.Instead(t, "cat-file", "PACK="+paths[0]+`
for from in "$PACK"*.pack; do
	to=$PACK-$$
	mv "${from%.pack}.pack" "$to.pack" && mv "${from%.pack}.idx" "$to.idx"
done
exec "$git" "$@"`)
	if _, err := List(t.Context(), s); err == nil || !strings.Contains(err.Error(), "git repack") {
		t.Errorf("error %v", err)
	}
}

// A pack without its index, or the reverse, is an error that says what to mend; so is an index that git can't use, and
// whatever is there but out of reach. If the missing half appears in a moment, there is no error.
func TestListOfDamagedPacks(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		damage func(path string) error
		want   string // a regular expression; "" for no error
	}{
		"index missing": {func(path string) error { return os.Remove(path + ".idx") }, "has no index"},
		"pack missing":  {func(path string) error { return os.Remove(path + ".pack") }, "has no pack"},
		"index cut short": {func(path string) error {
			os.Chmod(path+".idx", 0o600)
			return os.Truncate(path+".idx", 100)
		}, "git fsck"},
		"directory of packs is away": {func(path string) error {
			dir := filepath.Dir(path)
			if err := os.Rename(dir, dir+".away"); err != nil {
				return err
			}
			return os.Symlink("/nonexistent/pack", dir)
		}, "objects/pack: no such file"},
		"index is away": {func(path string) error {
			if err := os.Remove(path + ".idx"); err != nil {
				return err
			}
			return os.Symlink("/nonexistent/idx", path+".idx")
		}, `pack-\w+\.idx: no such file`},
		"alternate is away": {func(path string) error {
			return os.WriteFile(filepath.Join(path, "../../info/alternates"), []byte("/nonexistent/objects\n"), 0o600)
		}, "/nonexistent/objects"},
		"index comes in a moment": {func(path string) error {
			if err := os.Rename(path+".idx", path+".later"); err != nil {
				return err
			}
			time.AfterFunc(5*packPause, func() { os.Rename(path+".later", path+".idx") })
			return nil
		}, ""},
		"of no pack of git's": {func(path string) error {
			return os.WriteFile(filepath.Join(filepath.Dir(path), "tmp_pack_x.pack"), nil, 0o600)
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			for _, alternate := range []bool{false, true} {
				r, paths := packed(t)
				if err := test.damage(paths[1]); err != nil {
					t.Fatal(err)
				}
				if alternate {
					of := r
					r = gittest.New(t)
					if err := os.WriteFile(filepath.Join(r.ObjectDir(), "info", "alternates"), []byte(of.ObjectDir()+"\n"), 0o666); err != nil {
						t.Fatal(err)
					}
				}
				_, err := List(t.Context(), open(t, r))
				if test.want == "" && err != nil || test.want != "" && (err == nil || !regexp.MustCompile(test.want).MatchString(err.Error())) {
					t.Errorf("alternate %v: %v", alternate, err)
				}
			}
		})
	}
}

// Pointing looks at loose objects and small packs; a pack that is too large for the bound is not begun.
func TestPointing(t *testing.T) {
	r := gittest.New(t)
	r.Commit("large", "content")
	blobs := r.Blobs("blob", 100)
	large := append(blobs, strings.Fields(r.Git("rev-list", "--objects", "--no-object-names", "HEAD"))...)
	r.GitIn(strings.Join(large, "\n"), "pack-objects", "-q", filepath.Join(r.ObjectDir(), "pack", "pack"))
	r.Git("prune-packed", "-q")
	packed := r.Commit("small", "packed")
	r.Git("repack", "-q", "-d")
	loose := r.Commit("loose", "content")
	pointing, err := Pointing(context.Background(), open(t, r), 90)
	if err != nil {
		t.Fatal(err)
	}
	var got, want []string
	for i := range pointing.Len() {
		got = append(got, hex.EncodeToString(pointing.At(i)))
	}
	for _, commit := range []string{packed, loose} {
		want = append(want, commit, r.Git("rev-parse", commit+"^{tree}"))
	}
	slices.Sort(got)
	if slices.Sort(want); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
