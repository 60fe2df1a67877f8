package objects

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// Anything that this user can't read is an error that names it, whether git would report it or not.
func TestListOfUnreadableStore(t *testing.T) {
	for name, path := range map[string]func(objects, pack string) string{
		"index":                      func(_, pack string) string { return pack + ".idx" },
		"pack":                       func(_, pack string) string { return pack + ".pack" },
		"directory of packs":         func(objects, _ string) string { return filepath.Join(objects, "pack") },
		"directory of loose":         func(objects, _ string) string { return filepath.Join(objects, "ab") },
		"alternates":                 func(objects, _ string) string { return filepath.Join(objects, "info/alternates") },
		"directory of the alternate": func(objects, _ string) string { return objects },
	} {
		t.Run(name, func(t *testing.T) {
			r, paths := packed(t)
			objects := r.ObjectDir()
			path := path(objects, paths[0])
			os.Mkdir(filepath.Join(objects, "ab"), 0o755)
			if err := os.WriteFile(filepath.Join(objects, "info/alternates"), nil, 0o644); err != nil {
				t.Fatal(err)
			}
			if out, err := exec.Command("chmod", "-R", "a+rX", filepath.Dir(r.Dir)).CombinedOutput(); err != nil {
				t.Fatalf("chmod: %v: %s", err, out)
			}
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, 0); err != nil {
				t.Fatal(err)
			}
			defer os.Chmod(path, info.Mode())
			if os.Geteuid() == 0 {
				// root can read everything; nobody can't. The change is for this thread only.
				runtime.LockOSThread()
				defer runtime.UnlockOSThread()
				if err := syscall.Setfsuid(65534); err != nil {
					t.Fatal(err)
				}
				defer syscall.Setfsuid(0)
			}
			if _, err := look([]string{objects}); err == nil || !strings.Contains(err.Error(), path+": permission denied") {
				t.Errorf("error %v, want one of %s", err, path)
			}
		})
	}
}
