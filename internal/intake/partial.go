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

// Partial is the beginning of a large pack, kept in a file of the object directory while the pack comes in and, if the link breaks,
// until it comes again. It goes by one of the pack's objects. git prune sweeps the file. What it holds is worth nothing before git has
// indexed the whole pack, and checked it.
type Partial struct {
	Size int64 // when it was opened
	file *os.File
	room int64 // how many more bytes are kept
}

const partialPrefix = "tmp_aig_partial_"

// defaultMaxPartial is as much as a slow link brings in a night or two.
const defaultMaxPartial = 2 << 30

func (s *Store) partialPath(object []byte) string {
	return filepath.Join(s.ObjectDir, partialPrefix+hex.EncodeToString(object))
}

// Partials returns the objects by which the partial packs of earlier runs go, the newest first. Those beyond aig.maxPartial are removed.
func (s *Store) Partials() (objects [][]byte, err error) {
	entries, err := os.ReadDir(s.ObjectDir)
	var files []fs.FileInfo
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), partialPrefix) {
			if info, err := e.Info(); err == nil { // else it has just been removed
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

// OpenPartial returns what is kept of the pack that goes by an object. Close or remove it.
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

// NewPartial returns an empty one in the place of what was kept before, nil where nothing is to be kept. Nothing that another run has
// open is ever cut short.
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

// RemovePartial removes what is kept of the pack that goes by an object.
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

// keep appends to it. What can't be kept comes once more if the link breaks, so that is no error.
func (p *Partial) keep(b []byte) {
	n, err := p.file.Write(b[:min(int64(len(b)), p.room)])
	if p.room -= int64(n); err != nil {
		p.room = 0
	}
}

// Keep feeds what p holds to git as the pack's beginning, and keeps in p what is written from now on. Discard closes p.
func (in *Incoming) Keep(p *Partial) error {
	_, err := p.WriteTo(in)
	in.partial = p
	return err
}

// Kept reports whether what comes of the pack stays if the link breaks.
func (in *Incoming) Kept() bool { return in.partial != nil }

// Forget removes what is kept of the pack: it has been stored or refused, or is not what comes next time.
func (in *Incoming) Forget() {
	if in.partial != nil {
		os.Remove(in.partial.file.Name())
		in.partial.Close()
		in.partial = nil
	}
}
