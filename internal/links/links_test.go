package links

import (
	"slices"
	"strings"
	"testing"
)

// A mode means what git takes it for, however it is written.
func TestModeKind(t *testing.T) {
	for text, want := range map[string]Kind{
		"40000": Tree, "040000": Tree, "0040000": Tree, "40755": Tree, strings.Repeat("0", 1<<17) + "40000": Tree,
		"100644": Blob, "100755": Blob, "0100664": Blob, "120000": Blob,
		"160000": 0, "0160000": 0, "10644": 0, "0": 0,
	} {
		var m mode
		for part := range slices.Chunk([]byte(text+" path"), 7) {
			m.see(part)
		}
		if got := m.kind(); m.bad || got != want {
			t.Errorf("%.20s: %v, %v; want %v", text, got, m.bad, want)
		}
	}
	for _, text := range []string{"40000\x00", "4000x ", "8 "} {
		var m mode
		if m.see([]byte(text)); !m.bad {
			t.Errorf("%q: %v", text, m.kind())
		}
	}
}
