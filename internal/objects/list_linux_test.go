package objects

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"aig/internal/gittest"
)

// Anything that this user can't read, here or in an alternate, is an error that names it: git's complaint, or ours where git has none.
func TestListOfUnreadableStore(t *testing.T) {
	for name, path := range map[string]func(objects, pack string) string{
		"index":               func(_, pack string) string { return pack + ".idx" },
		"pack":                func(_, pack string) string { return pack + ".pack" },
		"directory of packs":  func(objects, _ string) string { return filepath.Join(objects, "pack") },
		"directory of loose":  func(objects, _ string) string { return filepath.Join(objects, "ab") },
		"directory of info":   func(objects, _ string) string { return filepath.Join(objects, "info") },
		"alternates":          func(objects, _ string) string { return filepath.Join(objects, "info/alternates") },
		"object directory":    func(objects, _ string) string { return objects },
		"directory around it": func(objects, _ string) string { return filepath.Dir(objects) },
	} {
		for _, alternate := range []bool{false, true} {
			if !alternate && (name == "object directory" || name == "directory around it") {
				continue // git finds no repository
			}
			t.Run(name, func(t *testing.T) {
				r, paths := packed(t)
				objects := r.ObjectDir()
				path := path(objects, paths[0])
				os.Mkdir(filepath.Join(objects, "ab"), 0o755)
				other := gittest.New(t)
				for file, content := range map[string]string{
					filepath.Join(objects, "info/alternates"):           "",
					filepath.Join(other.ObjectDir(), "info/alternates"): objects + "\n",
				} {
					if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
						t.Fatal(err)
					}
				}
				if out, err := exec.Command("chmod", "-R", "a+rX", filepath.Dir(r.Dir)).CombinedOutput(); err != nil {
					t.Fatalf("chmod: %v: %s", err, out)
				}
				if alternate {
					r = other
				}
				root := os.Geteuid() == 0
				if root { // who can read everything, and of whose processes nobody can lower the limits
					gittest.Instead(t, "cat-file", `exec setpriv --reuid=65534 --clear-groups "$git" -c safe.directory='*' "$@"`)
					r.Git("config", "aig.maxMemory", "0")
				}
				s := open(t, r)
				list(t, s)
				if root { // this thread of ours is nobody's too
					runtime.LockOSThread()
					defer runtime.UnlockOSThread()
					if err := syscall.Setfsuid(65534); err != nil {
						t.Fatal(err)
					}
					defer syscall.Setfsuid(0)
				}
				info, err := os.Stat(path)
				if err != nil {
					t.Fatal(err)
				}
				chmod := func(mode os.FileMode) {
					if out, err := exec.Command("chmod", fmt.Sprintf("%o", mode), path).CombinedOutput(); err != nil {
						t.Errorf("chmod: %v: %s", err, out)
					}
				}
				chmod(0)
				defer chmod(info.Mode().Perm())
				_, err = List(t.Context(), s)
				want := path
				if !alternate { // git has the paths of its own repository from there
					want = strings.TrimPrefix(path, r.Dir+"/")
				}
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("alternate %v: error %v, want one of %s", alternate, err, path)
				}
			})
		}
	}
}
