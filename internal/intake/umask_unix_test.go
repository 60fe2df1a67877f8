//go:build unix

package intake

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"aig/internal/gittest"
)

// A shared repository's new directories and files are the group's, whatever the umask is.
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
		if got.Mode() != want.Mode() {
			t.Errorf("%s: mode %v, want %v", dir, got.Mode(), want.Mode())
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
