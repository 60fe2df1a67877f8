package intake

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"aig/internal/git"
)

// The beginning of a large pack is kept in a file in the object directory while the pack is received and, if the link breaks, until it
// is sent again. The file is named after one of the pack's objects; git prune sweeps it. Its content is not to be trusted before git has
// indexed the whole pack, and checked it.

const partialPrefix = "tmp_aig_partial_"

// defaultMaxPartial is what a slow link carries in a night or two.
const defaultMaxPartial = 2 << 30

func (s *Store) partialPath(object []byte) string {
	return filepath.Join(s.ObjectDir, partialPrefix+hex.EncodeToString(object))
}

// Partials returns the objects that name the partial packs of earlier runs, newest first, and removes those beyond aig.maxPartial.
func (s *Store) Partials() (objects [][]byte, err error) {
	entries, err := os.ReadDir(s.ObjectDir)
	var files []fs.FileInfo
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), partialPrefix) {
			if info, err := e.Info(); err == nil { // otherwise it has just been removed
				files = append(files, info)
			}
		}
	}
	slices.SortStableFunc(files, func(a, b fs.FileInfo) int { return b.ModTime().Compare(a.ModTime()) })
	room := s.maxPartial
	for _, f := range files {
		object, err := hex.DecodeString(strings.TrimPrefix(f.Name(), partialPrefix))
		if room -= f.Size(); room < 0 || f.Size() == 0 || err != nil || len(object) != s.Format.Size() {
			os.Remove(filepath.Join(s.ObjectDir, f.Name()))
			continue
		}
		objects = append(objects, object)
	}
	return objects, err
}

// CopyPartial writes what is kept of the pack named after object to w.
func (s *Store) CopyPartial(w io.Writer, object []byte) (size int64, err error) {
	file, err := os.Open(s.partialPath(object))
	if err != nil {
		return 0, err
	}
	defer file.Close()
	return io.Copy(w, file)
}

// RemovePartial removes what is kept of the pack named after object.
func (s *Store) RemovePartial(object []byte) { os.Remove(s.partialPath(object)) }

// Keep begins a pack, named after object, with the first held bytes of what is kept of it, and keeps what is written from now on behind
// them.
func (in *Incoming) Keep(object []byte, held int64) error {
	in.room = max(0, in.store.maxPartial-held)
	if held == 0 {
		in.keepAnew(object)
		return nil
	}
	file, err := os.OpenFile(in.store.partialPath(object), os.O_RDWR|os.O_APPEND, 0)
	if err == nil {
		_, err = io.CopyN(in, file, held)
		in.partial = file
	}
	if limit := new(git.LimitError); errors.As(err, &limit) {
		return limit
	}
	if err != nil {
		return fmt.Errorf("what was kept of it can't be read any more (%w): run the same command again, with a new token if it had one", err)
	}
	return nil
}

// keepAnew replaces what was kept of the pack. It makes a new file, and doesn't truncate the old one, which another run may have open. If
// it can't, the pack is sent in full again if the link breaks.
func (in *Incoming) keepAnew(object []byte) {
	in.store.RemovePartial(object)
	if in.room == 0 {
		return
	}
	file, err := os.OpenFile(in.store.partialPath(object), os.O_RDWR|os.O_APPEND|os.O_CREATE|os.O_EXCL, 0o600)
	if err == nil {
		in.partial = file
	}
}

// keep appends b. Failing to is no error: what isn't kept is sent again if the link breaks.
func (in *Incoming) keep(b []byte) {
	n, err := in.partial.Write(b[:min(int64(len(b)), in.room)])
	if in.room -= int64(n); err != nil {
		in.room = 0
	}
}

// Kept reports whether what is received of the pack is kept if the link breaks.
func (in *Incoming) Kept() bool { return in.partial != nil }

// Forget removes what is kept of the pack: it has been stored or refused, or won't be sent again.
func (in *Incoming) Forget() {
	if in.partial != nil {
		os.Remove(in.partial.Name())
		in.partial.Close()
		in.partial = nil
	}
}
