package git

import (
	"math"
	"os"
	"path/filepath"
	"testing"
)

// The default of aig.maxMemory respects the limit of a container or a service, however its cgroups are mounted.
func TestCgroupMemory(t *testing.T) {
	root := t.TempDir()
	for file, text := range map[string]string{
		"memory.max":                              "max\n",
		"user.slice/memory.max":                   "400000000\n",
		"user.slice/session/memory.max":           "max\n",
		"memory/memory.limit_in_bytes":            "9223372036854771712\n",
		"memory/docker/memory.limit_in_bytes":     "500000000\n",
		"memory/docker/abc/memory.limit_in_bytes": "300000000\n",
	} {
		os.MkdirAll(filepath.Dir(filepath.Join(root, file)), 0o777)
		if err := os.WriteFile(filepath.Join(root, file), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	for cgroups, want := range map[string]int64{
		"":                                       math.MaxInt64,
		"0::/\n":                                 math.MaxInt64,
		"0::/user.slice/session\n":               400000000,
		"0::/gone/user.slice\n":                  math.MaxInt64,
		"5:cpu:/x\n4:memory:/docker/abc\n0::/\n": 300000000,
		"4:memory:/docker/of-the-host\n":         500000000,
		"4:memory:/../../../etc\nrubbish\n":      9223372036854771712,
	} {
		if got := cgroupMemory(cgroups, root); got != want {
			t.Errorf("%q: %d, want %d", cgroups, got, want)
		}
	}
}
