package intake

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	gogit "github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"

	"aig/internal/git"
	"aig/internal/gittest"
	"aig/internal/objects"
	"aig/internal/oid"
)

func open(t *testing.T, r *gittest.Repo, env ...string) *Store {
	t.Helper()
	s, err := Open(t.Context(), git.Git{Dir: r.Dir, Env: append(slices.Clone(r.Env), env...), Settings: new(git.Settings)})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func list(t *testing.T, s *Store) *oid.List {
	t.Helper()
	l, err := objects.List(t.Context(), s.Repo)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func all(l *oid.List) oid.Selection {
	s := oid.Selection{List: l}
	for i := range l.Len() {
		s.Index = append(s.Index, uint32(i))
	}
	return s
}

// pack returns one pack of the given objects.
func pack(t *testing.T, s *Store, names oid.Selection) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := objects.Pack(t.Context(), s.Repo, objects.NewPiece(names.List.(*oid.List), names.Index), bufio.NewWriter(&b)); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// ofPeer reports whether an error is a pack's fault.
func ofPeer(err error) bool { return errors.As(err, new(*PackError)) }

// receive takes a pack into the quarantine.
func receive(t *testing.T, s *Store, pack []byte) (*Incoming, error) {
	t.Helper()
	in, err := s.Receive(t.Context(), 1<<20, false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(in.Discard)
	in.Write(pack) // a failure shows in Finish
	return in, in.Finish()
}

// namesOf returns the hexadecimal names of what a finished pack holds, ascending.
func namesOf(in *Incoming) (names []string, err error) {
	list, _, err := in.Names()
	if err != nil {
		return nil, err
	}
	for i := range list.Len() {
		names = append(names, hex.EncodeToString(list.At(i)))
	}
	slices.Sort(names)
	return names, nil
}

// A pack is in the store after Install and not before; nothing is left of the quarantine after Discard, in either case;
// and a reader other than git finds the object there.
func TestQuarantine(t *testing.T) {
	from, to := gittest.New(t), gittest.New(t)
	blob := from.Blobs("blob", 1)[0]
	s := open(t, from)
	bytes := pack(t, s, all(list(t, s)))
	for _, install := range []bool{false, true} {
		in, err := receive(t, open(t, to), bytes)
		if err != nil {
			t.Fatal(err)
		}
		if names, err := namesOf(in); err != nil || !slices.Equal(names, []string{blob}) {
			t.Errorf("the pack holds %v, %v", names, err)
		}
		if to.Objects() != "" {
			t.Error("the object can be seen before it is installed")
		}
		if install {
			if err := in.Install(); err != nil {
				t.Fatal(err)
			}
		}
		in.Discard()
		if left := to.Quarantines(); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	}
	repo, err := gogit.PlainOpen(to.Dir)
	if err != nil {
		t.Fatal(err)
	}
	object, err := repo.BlobObject(plumbing.NewHash(blob))
	if err != nil || object.Size != int64(len("blob 0\n")) {
		t.Errorf("go-git reads %v, %v", object, err)
	}
	to.Git("fsck", "--strict")
	to.Git("gc", "-q", "--prune=now")
	if to.Objects() != "" {
		t.Error("git gc --prune=now does not drop what was received")
	}
}

// Taking in the same objects again changes no file of the store, neither packs nor loose objects.
func TestInstallReplacesNothing(t *testing.T) {
	for _, limit := range []string{"1", "100"} {
		from, to := gittest.New(t), gittest.New(t)
		to.Git("config", "fetch.unpackLimit", limit)
		from.Blobs("blob", 3)
		s := open(t, from)
		bytes := pack(t, s, all(list(t, s)))
		before := make(map[string]os.FileInfo)
		for round := range 2 {
			in, err := receive(t, open(t, to), bytes)
			if err != nil {
				t.Fatal(err)
			}
			if err := in.Install(); err != nil {
				t.Fatal(err)
			}
			files, err := filepath.Glob(filepath.Join(to.ObjectDir(), "??*", "*"))
			if files = slices.DeleteFunc(files, func(f string) bool { return strings.Contains(f, "tmp_objdir") }); err != nil || len(files) < 2 {
				t.Fatalf("%v, %v", files, err)
			}
			for _, file := range files {
				info, err := os.Stat(file)
				if err != nil {
					t.Fatal(err)
				}
				if round == 0 {
					before[file] = info
				} else if len(files) != len(before) || !os.SameFile(info, before[file]) {
					t.Errorf("%s was replaced", file)
				}
			}
		}
	}
}

// Packs that are cut short, malformed or hold a malformed object are the sender's fault, and leave nothing behind.
func TestBadPacks(t *testing.T) {
	t.Parallel()
	from := gittest.New(t)
	from.Commit("file", "content")
	s := open(t, from)
	good := pack(t, s, all(list(t, s)))
	flipped := slices.Clone(good)
	flipped[len(flipped)/2] ^= 1
	malformed := gittest.New(t)
	malformed.GitIn("tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\nnonsense\n",
		"hash-object", "-w", "-t", "commit", "--literally", "--stdin")
	sm := open(t, malformed)
	for name, pack := range map[string][]byte{
		"empty": {}, "cut": good[:len(good)-30], "flipped": flipped, "not a pack": []byte("HTTP/1.1 200 OK"),
		"malformed commit": pack(t, sm, all(list(t, sm))),
	} {
		to := gittest.New(t)
		in, err := receive(t, open(t, to), pack)
		if !ofPeer(err) {
			t.Errorf("%s: %v", name, err)
		}
		in.Discard()
		if left := to.Quarantines(); len(left) > 0 || to.Objects() != "" {
			t.Errorf("%s: left behind: %v, %v", name, left, to.Objects())
		}
	}
	// Whoever switches the checks off gets what git fetch would take: fetch.fsckObjects counts or, if it is not set,
	// transfer.fsckObjects.
	bad := pack(t, sm, all(list(t, sm)))
	for _, c := range []struct {
		fetch, transfer string
		taken           bool
	}{{"", "false", true}, {"false", "", true}, {"false", "true", true}, {"true", "false", false}, {"", "true", false}} {
		to := gittest.New(t)
		for key, value := range map[string]string{"fetch.fsckObjects": c.fetch, "transfer.fsckObjects": c.transfer} {
			if value != "" {
				to.Git("config", key, value)
			}
		}
		in, err := receive(t, open(t, to), bad)
		if taken := err == nil; taken != c.taken || !taken && !ofPeer(err) {
			t.Errorf("with fetch.fsckObjects=%s and transfer.fsckObjects=%s: %v", c.fetch, c.transfer, err)
		}
		in.Discard()
	}
}

// missing returns the positions in l of the objects that to lacks.
func missing(t testing.TB, l *oid.List, to *gittest.Repo) []uint32 {
	t.Helper()
	has := make(map[string]bool)
	for name := range strings.FieldsSeq(to.Objects()) {
		has[name] = true
	}
	var give []uint32
	for i := range l.Len() {
		if !has[hex.EncodeToString(l.At(i))] {
			give = append(give, uint32(i))
		}
	}
	return give
}

// plan returns the packs of what to lacks.
func plan(t *testing.T, s *Store, l *oid.List, give []uint32) [][]byte {
	t.Helper()
	pieces, err := objects.Plan(t.Context(), s.Repo, l, give)
	if err != nil {
		t.Fatal(err)
	}
	var packs [][]byte
	for _, p := range pieces {
		var b bytes.Buffer
		if err := objects.Pack(t.Context(), s.Repo, p, bufio.NewWriter(&b)); err != nil {
			t.Fatal(err)
		}
		packs = append(packs, b.Bytes())
	}
	return packs
}

// install receives and installs a pack.
func install(t *testing.T, to *gittest.Repo, pack []byte) {
	t.Helper()
	in, err := receive(t, open(t, to), pack)
	if err == nil {
		err = in.Install()
	}
	if err != nil {
		t.Fatal(err)
	}
	in.Discard()
}
