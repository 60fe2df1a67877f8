package intake

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"aig/internal/gittest"
)

// Packs and loose objects can be installed in a directory of the store that is on another file system.
func TestInstallElsewhere(t *testing.T) {
	for limit, what := range map[string]string{"1": "pack", "100": "loose"} {
		from, to := gittest.New(t), gittest.New(t)
		blob := from.Blobs("blob", 1)[0]
		to.Git("config", "fetch.unpackLimit", limit)
		other, err := os.MkdirTemp("/dev/shm", "aig")
		if err != nil {
			gittest.Skip(t, "there is no /dev/shm")
		}
		defer os.RemoveAll(other)
		var here, there syscall.Stat_t
		if syscall.Stat(to.Dir, &here) != nil || syscall.Stat(other, &there) != nil || here.Dev == there.Dev {
			gittest.Skip(t, "/dev/shm is no other file system")
		}
		dir := filepath.Join(to.ObjectDir(), "pack")
		if what == "loose" {
			dir = filepath.Join(to.ObjectDir(), blob[:2])
		}
		os.RemoveAll(dir)
		if err := os.Symlink(other, dir); err != nil {
			t.Fatal(err)
		}
		s := open(t, from)
		bytes := pack(t, s, all(list(t, s)))
		for range 2 { // the second time it is there already
			install(t, to, bytes)
		}
		if to.Objects() != from.Objects() {
			t.Errorf("%s: the stores are not equal", what)
		}
		to.Git("fsck", "--strict", "--no-dangling")
		files, err := filepath.Glob(filepath.Join(other, "*"))
		if want := map[string]int{"pack": 2, "loose": 1}[what]; err != nil || len(files) < want || len(files) > want+1 {
			t.Errorf("%s: %v, %v", what, files, err)
		}
		for _, file := range files {
			if info, err := os.Stat(file); err != nil || info.Mode() != 0o444 {
				t.Errorf("%s: %v, %v", file, info.Mode(), err)
			}
		}
	}
}
