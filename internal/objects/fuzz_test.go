package objects

import (
	"bytes"
	"encoding/hex"
	"io"
	"slices"
	"strconv"
	"strings"
	"testing"

	"aig/internal/oid"
)

// FuzzHints: whatever git log prints of the paths in somebody's trees, git pack-objects gets one line for each base
// and each object that was chosen, which begins with its name, and no hint is longer than maxPath.
func FuzzHints(f *testing.F) {
	digit := func(i int) string { return strings.Repeat(strconv.Itoa(i), 40) }
	entry := func(i int, path string) string {
		return ":100644 100644 " + digit(9) + " " + digit(i) + " M\x00" + path + "\x00"
	}
	f.Add([]byte(digit(1) + " " + digit(3) + " " + digit(7) + "\x00\n" + entry(4, "dir") + entry(5, "dir/file name")))
	f.Add([]byte(entry(5, "a\r-"+digit(9)) + entry(5, "b") + entry(6, strings.Repeat("p", maxPath+1))))
	f.Add([]byte(digit(2) + " " + digit(8) + " " + digit(8) + " x\x00\n" + entry(4, "\x1b\xff") + entry(4, "")[:39]))
	f.Add([]byte(entry(6, strings.Repeat("long", 1000)) + entry(5, "a\n"+digit(9)) + entry(4, entry(3, "after"))))
	list := oid.NewList(oid.SHA1)
	for i := range 10 {
		name, _ := hex.DecodeString(digit(i))
		list.Append(name)
	}
	give, commits := []uint32{1, 2, 3, 4, 5, 6}, []uint32{1, 2}
	f.Fuzz(func(t *testing.T, said []byte) {
		p := &planner{list: list, give: give, given: oid.NewBitmap(list.Len(), give), commits: commits, ends: []int{len(give)}}
		w := newLogReader(p)
		for record := range bytes.SplitSeq(said, []byte("\x00")) {
			w.record(record)
		}
		if slices.ContainsFunc(w.bases, p.given.Has) || len(w.seen)+len(w.order) > len(give) {
			t.Errorf("bases %v, order %v", w.bases, w.order)
		}
		lines := Piece{list: list, Index: give, hints: w.hints, Bases: w.bases}.lines()
		out, _ := io.ReadAll(lines)
		got := strings.SplitAfter(string(out), "\n")
		if len(got) != len(w.bases)+len(give)+1 || got[len(got)-1] != "" {
			t.Fatalf("%q gave the lines %q", said, got)
		}
		for i, line := range got[:len(got)-1] {
			var want string
			if i < len(w.bases) {
				want = "-" + digit(int(w.bases[i])) + "\n"
			} else {
				want = digit(int(give[i-len(w.bases)]))
			}
			if !strings.HasPrefix(line, want) || len(line) > 40+1+maxPath+1 || strings.ContainsAny(line, "\r\x00") {
				t.Errorf("%q gave the line %q", said, line)
			}
		}
	})
}
