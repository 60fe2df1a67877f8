package app

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"aig/internal/branches"
	"aig/internal/ref"
	"aig/internal/refs"
	"aig/internal/session"
)

// tips returns what came in, in this run or in earlier failed ones, and is on no branch of either side.
func (s *run) tips(ctx context.Context, report *branches.Report, result *session.Result, v refs.Vetting) (refs.Tips, error) {
	heads := result.Heads
	if !v.Whole { // else the store was empty, and has from earlier runs what this one brought
		heads = append(s.earlierHeads(), heads...)
	}
	if len(heads) == 0 {
		return refs.Tips{}, nil
	}
	var theirs, whole []string
	for _, b := range report.Branches {
		if b.Unknown == "" && ref.IsObjectName(b.Theirs) {
			whole = append(whole, b.Theirs)
		}
	}
	for _, r := range result.PeerRefs {
		theirs = append(theirs, r.OID, r.Peeled)
	}
	return refs.Dangling(ctx, s.store.Repo, heads, theirs, whole, v)
}

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
