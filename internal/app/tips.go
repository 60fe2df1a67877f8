package app

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A failed run keeps the complete objects that it received, and the next one doesn't receive them again. So it notes the commits that
// nobody would hear of otherwise, for the next run with the same peer, in a file beside git's (gitrepository-layout(5), "objects/info").

// maxHeads bounds the commits that are noted.
const maxHeads = 1000

// notedHeads returns the file's path.
func (s *run) notedHeads() string {
	peer := sha256.Sum256(s.peer)
	return filepath.Join(s.store.ObjectDir, "info", fmt.Sprintf("aig-heads-%x", peer[:8]))
}

// earlierHeads returns what has been noted. Some of it may be gone by now.
func (s *run) earlierHeads() []string {
	info, err := os.Stat(s.notedHeads())
	if err != nil || info.Size() > maxHeads*(1+2*int64(s.store.Format.Size())) {
		return nil
	}
	text, _ := os.ReadFile(s.notedHeads())
	return slices.DeleteFunc(strings.Fields(string(text)), func(name string) bool { return !s.store.Format.IsName(name) })
}

// forgetHeads forgets what has been noted, once it is told.
func (s *run) forgetHeads() { os.Remove(s.notedHeads()) }

// noteHeads adds commits to those noted before. If it fails, git fsck still finds them.
func (s *run) noteHeads(heads []string) {
	all := slices.Concat(s.earlierHeads(), heads)
	slices.Sort(all)
	if all = slices.Compact(all); len(all) == 0 {
		return
	}
	os.MkdirAll(filepath.Dir(s.notedHeads()), 0o777)
	os.Remove(s.notedHeads()) // a local clone may share it, by a hard link
	os.WriteFile(s.notedHeads(), []byte(strings.Join(all[:min(len(all), maxHeads)], "\n")+"\n"), 0o666)
}
