package torture

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"aig/internal/gittest"
)

// damage is a way in which the files of a store can break.
type damage struct {
	name  string
	files string // one file that matches this, below objects/, is damaged
	do    func(rng *rand.Rand, file string, all []string) error
}

var damages = []damage{
	{"a loose object is cut short", "??/*", func(rng *rand.Rand, file string, _ []string) error {
		return edit(file, func(b []byte) []byte { return b[:1+rng.IntN(len(b)-1)] })
	}},
	{"a loose object is empty", "??/*", func(_ *rand.Rand, file string, _ []string) error {
		return edit(file, func([]byte) []byte { return nil })
	}},
	{"a bit of a loose object", "??/*", flipBit},
	{"a loose object under another's name", "??/*", func(rng *rand.Rand, file string, all []string) error {
		all = slices.DeleteFunc(slices.Clone(all), func(other string) bool { return other == file })
		other := all[rng.IntN(len(all))]
		content, err := os.ReadFile(other)
		if err != nil {
			return err
		}
		return edit(file, func([]byte) []byte { return content })
	}},
	{"a directory in the place of a loose object", "??/*", func(_ *rand.Rand, file string, _ []string) error {
		if err := os.Remove(file); err != nil {
			return err
		}
		return os.Mkdir(file, 0o777)
	}},
	{"a bit of a pack", "pack/*.pack", flipBit},
	{"a pack is cut short", "pack/*.pack", func(rng *rand.Rand, file string, _ []string) error {
		return edit(file, func(b []byte) []byte { return b[:rng.IntN(len(b))] })
	}},
	{"a pack is missing", "pack/*.pack", func(_ *rand.Rand, file string, _ []string) error { return os.Remove(file) }},
	{aBitOfAnIndex, "pack/*.idx", flipBit},
	{"a pack's index is cut short", "pack/*.idx", func(rng *rand.Rand, file string, _ []string) error {
		return edit(file, func(b []byte) []byte { return b[:rng.IntN(len(b))] })
	}},
	{"a pack's index is missing", "pack/*.idx", func(_ *rand.Rand, file string, _ []string) error { return os.Remove(file) }},
}

// aBitOfAnIndex changes a name in the index: the new one is listed but can't be read, and the right one isn't listed.
const aBitOfAnIndex = "a bit of a pack's index"

func flipBit(rng *rand.Rand, file string, _ []string) error {
	return edit(file, func(b []byte) []byte {
		b[rng.IntN(len(b))] ^= 1 << rng.IntN(8)
		return b
	})
}

// edit replaces a file, which may have other hard links, by an edited copy.
func edit(file string, how func([]byte) []byte) error {
	content, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if err := os.Remove(file); err != nil {
		return err
	}
	return os.WriteFile(file, how(bytes.Clone(content)), 0o444)
}

var cannotBeGiven = regexp.MustCompile(`(?m)^warning: object ([0-9a-f]{40}) cannot be given`)

// A store is damaged, in objects that both sides have or that only its owner has. Either the unreadable objects are named and
// everything else arrives, or the error says what to repair, or the damage doesn't matter. The other store is never damaged,
// and once the damage is repaired the next run completes.
func TestTortureDamage(t *testing.T) {
	m := newMachine(t)
	n := gittest.Rounds(4, 8*len(damages))
	var mu sync.Mutex
	var all checked
	noMatter, leftOut, failed, unclear := 0, 0, 0, 0
	reasons := make(map[string]int)
	rounds(n, func(round int) {
		rng := m.random(round)
		how := damages[3*round%len(damages)] // 3 and their number are coprime
		from := m.small
		if strings.HasPrefix(how.files, "pack/") {
			from = m.large // each side has packs that the other lacks
		}
		who := rng.IntN(2)
		dir := t.TempDir()
		p := from.copyOf(t, dir)
		files, err := filepath.Glob(filepath.Join(p.dir[who], "objects", how.files))
		files = slices.DeleteFunc(files, func(file string) bool { return how.files == "??/*" && strings.Contains(file, "/objects/pack/") })
		if err != nil || len(files) == 0 {
			t.Fatal(err, files)
		}
		file := files[rng.IntN(len(files))]
		if err := how.do(rng, file, files); err != nil {
			t.Fatal(err)
		}
		r := m.start(t, p, dir, syncOptions{form: sockets})
		r.end(t, tooLong)
		what := fmt.Sprintf("round %d, %s's %s: %s", round, names[who], strings.TrimPrefix(file, p.dir[who]), how.name)

		// The other store has lost nothing and is sound.
		other := 1 - who
		has, err := m.objects(p, other)
		if err != nil {
			t.Error(err)
		}
		c := checked{lost: len(without(p.objects[other], has))}
		if c.lost > 0 {
			t.Errorf("%s: %s has lost %d objects", what, names[other], c.lost)
		}
		if said := m.fsck(p, other); said != "" {
			t.Errorf("%s: %s's git fsck: %s", what, names[other], said)
			c.unsound++
		}
		missing := without(p.union, has)
		mine, theirs := r.outcome(who), r.outcome(other)
		var named []string
		for _, found := range cannotBeGiven.FindAllStringSubmatch(mine.said, -1) {
			named = append(named, found[1])
		}
		slices.Sort(named)
		mu.Lock()
		defer mu.Unlock()
		switch {
		case !mine.well() || !theirs.well():
			t.Errorf("%s: %d %s; %d %s", what, mine.status, mine.said, theirs.status, theirs.said)
		case mine.status == 0 && theirs.status == 0:
			noMatter++
		case len(named) > 0 && strings.Contains(mine.fatal, "everything else is stored"):
			leftOut++
			if rest := without(missing, named); len(rest) > 0 && (how.name != aBitOfAnIndex || len(rest) > 1) {
				t.Errorf("%s: %d objects are missing that were not named", what, len(rest))
			}
		default:
			failed++
			if !strings.Contains(mine.fatal, "git fsck") && !strings.Contains(mine.fatal, filepath.Base(file[:len(file)-5])) &&
				!strings.Contains(mine.fatal, "corrupt") {
				t.Errorf("%s: it is not clear what to mend: %s", what, mine.fatal)
				unclear++
			}
		}
		reasons[how.name+" | "+mine.end()+" | "+theirs.end()]++
		for _, o := range []outcome{mine, theirs} {
			if o.promise && len(missing) > 0 {
				t.Errorf("%s: a false promise: %d objects are missing, %d named", what, len(missing), len(named))
				c.falsePromises++
			}
		}
		// Repair it from a copy, such as a backup or another clone.
		if err := os.RemoveAll(file); err != nil {
			t.Fatal(err)
		}
		sound := strings.Replace(file, p.dir[who], from.dir[who], 1)
		if err := os.Link(sound, file); err != nil {
			t.Fatal(err)
		}
		c.add(m.next(t, p, fmt.Sprint(dir, "/next")))
		all.add(c)
	})
	if testing.Verbose() {
		for reason, times := range reasons {
			t.Logf("%d times: %s", times, reason)
		}
	}
	gittest.Figures(t, "damaged stores", n, "no matter %d, left out and named %d, failed %d, not clear why %d, false dots %d, "+
		"objects lost %d, fsck findings elsewhere %d, next runs failed %d",
		noMatter, leftOut, failed, unclear, all.falsePromises, all.lost, all.unsound, all.nextFailed)
}

// Objects vanish, or move to other packs, after they have been listed and before they are packed. Those that have vanished are
// named, and all others arrive, including those that have moved.
func TestTortureVanished(t *testing.T) {
	m := newMachine(t)
	once := `if test "$1" = pack-objects && mkdir ../once 2>/dev/null; then %s; fi`
	onlyGives := []string{"--push"} // or what is just coming in would be swept too
	tests := []struct {
		name, script string
		from         *pair
		vanish       bool
		args         []string
	}{
		{"a loose object", fmt.Sprintf(once, `set -- objects/??/*; rm -f "$1"; set -- pack-objects --stdout --delta-base-offset -q`), m.small, true, nil},
		{"a pack", fmt.Sprintf(once, `set -- $(ls -S objects/pack/*.pack); rm -f "$1"; set -- pack-objects --stdout --delta-base-offset -q`), m.large, true, nil},
		{"what nothing points to", fmt.Sprintf(once, `"$git" gc --prune=now --quiet`), m.small, true, onlyGives},
		{"nothing: git gc", fmt.Sprintf(once, `"$git" gc --quiet`), m.large, false, nil},
		{"nothing: git repack -adk", fmt.Sprintf(once, `"$git" repack -adkq`), m.large, false, nil},
	}
	gone, named, next := 0, 0, 0
	for _, test := range tests {
		for who, name := range names {
			if !gittest.Torture && (who == bob || test.from != m.small) {
				continue
			}
			t.Run(test.name+", "+name, func(t *testing.T) {
				dir := t.TempDir()
				p := test.from.copyOf(t, dir)
				o := syncOptions{form: sockets}
				o.shim[who] = test.script
				o.args[who] = test.args
				r := m.start(t, p, dir, o)
				r.end(t, tooLong)
				has, err := m.objects(p, 1-who)
				if err != nil {
					t.Fatal(err)
				}
				missing := without(p.union, has)
				mine, theirs := r.outcome(who), r.outcome(1-who)
				var warned []string
				for _, found := range cannotBeGiven.FindAllStringSubmatch(mine.said, -1) {
					warned = append(warned, found[1])
				}
				slices.Sort(warned)
				status := 0
				if test.vanish {
					status = 128
				}
				if mine.status != status || theirs.status != status || !mine.well() || !theirs.well() {
					t.Errorf("%d %s; %d %s", mine.status, mine.said, theirs.status, theirs.said)
				}
				if test.vanish == (len(missing) == 0) || !slices.Equal(missing, warned) {
					t.Errorf("%d objects are missing, %d were named", len(missing), len(warned))
				}
				gone += len(missing)
				named += len(warned)
				// Repair it from a copy, such as a backup or another clone.
				restore(t, test.from.dir[who], p.dir[who])
				next += m.next(t, p, filepath.Join(dir, "next")).nextFailed
			})
		}
	}
	gittest.Figures(t, "objects that vanish or move between listing and packing", len(tests), "vanished %d, named %d, next runs failed %d",
		gone, named, next)
}

// restore puts back the files that a store has lost.
func restore(t *testing.T, from, to string) {
	t.Helper()
	for _, pattern := range []string{"objects/??/*", "objects/pack/*"} {
		files, err := filepath.Glob(filepath.Join(from, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			lost := strings.Replace(file, from, to, 1)
			if err := os.MkdirAll(filepath.Dir(lost), 0o777); err != nil {
				t.Fatal(err)
			}
			if err := os.Link(file, lost); err != nil && !os.IsExist(err) {
				t.Fatal(err)
			}
		}
	}
}
