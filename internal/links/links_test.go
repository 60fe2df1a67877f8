package links

import (
	"bufio"
	"strings"
	"testing"
)

// A mode says what git takes it for, however it is written.
func TestModeKind(t *testing.T) {
	for mode, want := range map[string]Kind{
		"40000": Tree, "040000": Tree, "0040000": Tree, "40755": Tree, strings.Repeat("0", 1<<17) + "40000": Tree,
		"100644": Blob, "100755": Blob, "0100664": Blob, "120000": Blob,
		"160000": 0, "0160000": 0, "10644": 0, "0": 0,
	} {
		if got, err := modeKind(bufio.NewReader(strings.NewReader(mode + " path"))); err != nil || got != want {
			t.Errorf("%.20s: %v, %v; want %v", mode, got, err, want)
		}
	}
	for _, mode := range []string{"40000", "4000x ", "8 "} {
		if got, err := modeKind(bufio.NewReader(strings.NewReader(mode))); err == nil {
			t.Errorf("%q: %v", mode, got)
		}
	}
}
