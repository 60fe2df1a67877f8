//go:build unix

package intake

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"aig/internal/git"
	"aig/internal/gittest"
	"aig/internal/oid"
)

// A pack is not called bad because somebody has killed the git that was indexing it.
func TestIndexKilled(t *testing.T) {
	r := gittest.New(t)
	r.Blobs("sound", 3)
	s := open(t, r)
	data := pack(t, s, all(list(t, s)))
	to := open(t, gittest.New(t))
	gittest.Instead(t, "index-pack", "kill -9 $$")
	in, err := receive(t, to, data)
	defer in.Discard()
	var failed *git.Error
	if !errors.As(err, &failed) || !failed.OfMachine() {
		t.Errorf("error %v", err)
	}
}

// A quarantine that git prune removes under us, at once or file by file, is neither the pack's fault nor a success.
func TestSwept(t *testing.T) {
	from := gittest.New(t)
	from.Blobs("sound", 200)
	s := open(t, from)
	many := pack(t, s, all(list(t, s)))
	few := pack(t, s, oid.Selection{List: list(t, s), Index: []uint32{1, 2, 3, 5, 8, 13, 21, 34, 55, 89}})
	tests := []struct {
		name            string
		pack            []byte
		command, script string
		before          func(in *Incoming) // Install
	}{
		{"while it is indexed", many, "index-pack", `rm -r "$GIT_OBJECT_DIRECTORY"; exec "$git" "$@"`, nil},
		{"before it is moved", many, "none", ":", func(in *Incoming) { os.RemoveAll(in.dir) }},
		{"its index, before it is moved", many, "none", ":", func(in *Incoming) { os.Remove(in.pack + ".idx") }},
		{"before it is unpacked", few, "none", ":", func(in *Incoming) { os.RemoveAll(in.dir) }},
		{"its index, before it is unpacked", few, "none", ":", func(in *Incoming) { os.Remove(in.pack + ".idx") }},
		{"while it is unpacked", few, "unpack-objects", `rm -r "${GIT_OBJECT_DIRECTORY%/*}"; exec "$git" "$@"`, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			to := open(t, gittest.New(t))
			gittest.Instead(t, test.command, test.script)
			in, err := receive(t, to, test.pack)
			defer in.Discard()
			if err == nil {
				if test.before != nil {
					test.before(in)
				}
				err = in.Install()
			}
			if err == nil || ofPeer(err) || !strings.Contains(err.Error(), "git prune") {
				t.Errorf("error %v", err)
			}
			left, err := filepath.Glob(filepath.Join(to.ObjectDir, "pack", "*"))
			if err != nil || len(left) > 0 {
				t.Errorf("left: %v %v", left, err)
			}
		})
	}
}

// If objects can't be unpacked, or vanish once they are, their pack is stored instead.
func TestPackInPlaceOfLooseObjects(t *testing.T) {
	from := gittest.New(t)
	from.Blobs("sound", 10)
	s := open(t, from)
	data := pack(t, s, all(list(t, s)))
	for _, script := range []string{"exit 1", `"$git" "$@"; set -- "$GIT_OBJECT_DIRECTORY"/??; rm -r "$1"`} {
		to := gittest.New(t)
		store := open(t, to)
		gittest.Instead(t, "unpack-objects", script)
		in, err := receive(t, store, data)
		if err == nil {
			err = in.Install()
		}
		in.Discard()
		if err != nil || to.Objects() != from.Objects() || len(to.Quarantines()) > 0 {
			t.Errorf("%s: %v, objects %s, left %v", script, err, to.Objects(), to.Quarantines())
		}
	}
}

// A full disk is not the peer's fault, however git words it.
func TestFullInGitsWords(t *testing.T) {
	for _, said := range []string{
		"write error: No space left on device",
		"sha1 file 'objects/pack/tmp_idx_RSzeMl' write error. Out of diskspace",
		"sha1 file 'objects/pack/tmp_idx_RSzeMl' write error: Disk quota exceeded",
	} {
		to := open(t, gittest.New(t))
		from := gittest.New(t)
		from.Blobs("sound", 3)
		s := open(t, from)
		data := pack(t, s, all(list(t, s)))
		gittest.Instead(t, "index-pack", fmt.Sprintf(`echo "fatal: %s" >&2; exit 128`, said))
		in, err := receive(t, to, data)
		in.Discard()
		var failed *git.Error
		if !errors.As(err, &failed) || !failed.OfMachine() || ofPeer(err) {
			t.Errorf("%q: %v", said, err)
		}
	}
}
