package intake

import (
	"encoding/hex"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Partial is the beginning of a large pack, kept in a file in the object directory while the pack is received and, if the link breaks,
// until it is sent again. The file is named after one of the pack's objects; git prune sweeps it. Its content is not to be trusted
// before git has indexed the whole pack, and checked it.
type Partial struct {
	Size int64 // when it was opened
	file *os.File
	room int64 // how many more bytes may be kept
}

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

// OpenPartial opens what is kept of the pack named after object. The caller closes it.
func (s *Store) OpenPartial(object []byte) (*Partial, error) {
	file, err := os.OpenFile(s.partialPath(object), os.O_RDWR|os.O_APPEND, 0)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err != nil {
		file.Close()
		return nil, err
	}
	return &Partial{Size: info.Size(), file: file, room: s.maxPartial - info.Size()}, nil
}

// NewPartial returns an empty one that replaces what was kept before, or nil if nothing is to be kept. It makes a new file, and doesn't
// truncate the old one, which another run may have open.
func (s *Store) NewPartial(object []byte) (*Partial, error) {
	s.RemovePartial(object)
	if s.maxPartial == 0 {
		return nil, nil
	}
	file, err := os.OpenFile(s.partialPath(object), os.O_RDWR|os.O_APPEND|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	return &Partial{file: file, room: s.maxPartial}, nil
}

// RemovePartial removes what is kept of the pack named after object.
func (s *Store) RemovePartial(object []byte) { os.Remove(s.partialPath(object)) }

// WriteTo writes its first Size bytes.
func (p *Partial) WriteTo(w io.Writer) (int64, error) {
	n, err := io.Copy(w, io.NewSectionReader(p.file, 0, p.Size))
	if err == nil && n < p.Size {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// Close closes the file, which stays.
func (p *Partial) Close() { p.file.Close() }

// keep appends b. Failing to is no error: what isn't kept is sent again if the link breaks.
func (p *Partial) keep(b []byte) {
	n, err := p.file.Write(b[:min(int64(len(b)), p.room)])
	if p.room -= int64(n); err != nil {
		p.room = 0
	}
}

// Keep feeds what p holds to git as the beginning of the pack, and keeps in p what is written from now on. Discard closes p.
func (in *Incoming) Keep(p *Partial) error {
	_, err := p.WriteTo(in)
	in.partial = p
	return err
}

// Kept reports whether what is received of the pack is kept if the link breaks.
func (in *Incoming) Kept() bool { return in.partial != nil }

// Forget removes what is kept of the pack: it has been stored or refused, or won't be sent again.
func (in *Incoming) Forget() {
	if in.partial != nil {
		os.Remove(in.partial.file.Name())
		in.partial.Close()
		in.partial = nil
	}
}
