package links

import (
	"bufio"
	"bytes"
	"io"
	"testing"
)

// FuzzAnswer: whatever git cat-file answers, an object is visited with all of its content, or the answer is an error.
func FuzzAnswer(f *testing.F) {
	f.Add([]byte("tree 0\n\n"))
	f.Add([]byte("blob 3\nabc\n"))
	f.Add([]byte("blob 9\nabc\n"))
	f.Add([]byte("tree 99999999999999999999\n"))
	f.Add([]byte("commit 9223372036854775807\n"))
	f.Add([]byte("tree -5\n"))
	f.Add([]byte("4b825dc642cb6eb9a060e54bf8d69288fbee4904 missing\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		var o Object
		var read int64
		err := answer(bufio.NewReader(bytes.NewReader(text)), func(visited Object) (err error) {
			if o = visited; o.Err == nil {
				read, err = io.Copy(io.Discard, o.In)
			}
			return err
		})
		if err == nil && o.Err == nil && (o.In == nil || read != o.Size) {
			t.Errorf("%q passed as %+v, of which %d bytes came", text, o, read)
		}
	})
}
