//go:build unix

package intake

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"aig/internal/gittest"
)

// A shared repository's new directories and files are open to the group, whatever the umask is.
func TestSharedRepository(t *testing.T) {
	for dir, limit := range map[string]string{"pack": "1", "": "100"} {
		from, to := gittest.New(t), gittest.New(t, "--shared=group")
		to.Git("config", "fetch.unpackLimit", limit)
		blob := from.Blobs("blob", 1)[0]
		if dir == "" {
			dir = blob[:2]
		} else if err := os.Remove(filepath.Join(to.ObjectDir(), dir)); err != nil {
			t.Fatal(err)
		}
		s := open(t, from)
		bytes := pack(t, s, all(list(t, s)))
		umask := syscall.Umask(0o077)
		in, err := receive(t, open(t, to), bytes)
		if err == nil {
			err = in.Install()
		}
		syscall.Umask(umask)
		if err != nil {
			t.Fatal(err)
		}
		want, err := os.Stat(to.ObjectDir())
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.Stat(filepath.Join(to.ObjectDir(), dir))
		if err != nil {
			t.Fatal(err)
		}
		if want := want.Mode() &^ 0o007; got.Mode() != want { // the umask takes that much
			t.Errorf("%s: mode %v, want %v", dir, got.Mode(), want)
		}
		files, err := filepath.Glob(filepath.Join(to.ObjectDir(), dir, "*"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v, %v", dir, files, err)
		}
		for _, file := range files {
			if info, err := os.Stat(file); err != nil || info.Mode() != 0o440 {
				t.Errorf("%s: mode %v (%v)", file, info.Mode(), err)
			}
		}
	}
}

// A new directory has the permissions that git would give it, even if core.sharedRepository was set after the repository was made.
func TestSharedLater(t *testing.T) {
	for _, shared := range []string{"", "umask", "group", "true", "1", "all", "everybody", "2", "0640", "0660", "0600", "0664"} {
		for _, umask := range []int{0o022, 0o077} {
			from, to, gits := gittest.New(t), gittest.New(t), gittest.New(t)
			blob := from.Blobs("blob", 1)[0]
			if shared != "" {
				to.Git("config", "core.sharedRepository", shared)
				gits.Git("config", "core.sharedRepository", shared)
			}
			s := open(t, from)
			bytes := pack(t, s, all(list(t, s)))
			old := syscall.Umask(umask)
			in, err := receive(t, open(t, to), bytes)
			if err == nil {
				err = in.Install()
			}
			gits.GitIn(from.Git("cat-file", "-p", blob), "hash-object", "-w", "--stdin")
			syscall.Umask(old)
			if err != nil {
				t.Fatal(err)
			}
			made, err := filepath.Glob(filepath.Join(gits.ObjectDir(), "??"))
			if err != nil || len(made) != 1 {
				t.Fatal(made, err)
			}
			want, err := os.Stat(made[0])
			if err != nil {
				t.Fatal(err)
			}
			if got, err := os.Stat(filepath.Join(to.ObjectDir(), blob[:2])); err != nil || got.Mode() != want.Mode() {
				t.Errorf("%q, umask %03o: %v, %v, want %v", shared, umask, got.Mode(), err, want.Mode())
			}
		}
	}
}
