package transport

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// If we are killed we can end nothing, and yet our transport ends, with its children,
// even one that doesn't heed the end of its input.
func TestNothingSurvivesOurDeath(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "pids")
	us := exec.Command(os.Args[0])
	us.Env = append(os.Environ(), "FILE="+file,
		`TRANSPORT_TEST_EXPRESSION=sleep 1000 & echo $! >"$FILE.new"; echo $$ >>"$FILE.new"; mv "$FILE.new" "$FILE"; sleep 1000`)
	if err := us.Start(); err != nil {
		t.Fatal(err)
	}
	defer us.Wait()
	defer us.Process.Kill()
	var pids []string
	inTime(t, "starting", func() {
		for len(pids) < 2 {
			time.Sleep(time.Millisecond)
			text, _ := os.ReadFile(file)
			pids = strings.Fields(string(text))
		}
	})
	if err := us.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for _, text := range pids {
		pid, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		awaitGone(t, pid)
	}
}

// Nor does a transport survive whose very first act is to kill us.
func TestNothingSurvivesOurEarlyDeath(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var pids []int
	for round := range 20 {
		file := filepath.Join(dir, strconv.Itoa(round))
		us := exec.Command(os.Args[0])
		us.Env = append(os.Environ(), "FILE="+file,
			`TRANSPORT_TEST_EXPRESSION=kill -KILL $PPID; echo $$ >"$FILE"; exec sleep 1000 <"$FILE"`)
		if err := us.Run(); err == nil {
			t.Fatal("not killed")
		}
		inTime(t, "the process's number", func() {
			for {
				text, _ := os.ReadFile(file)
				if pid, err := strconv.Atoi(strings.TrimSpace(string(text))); err == nil {
					pids = append(pids, pid)
					return
				}
				time.Sleep(time.Millisecond)
			}
		})
	}
	for _, pid := range pids {
		awaitGone(t, pid)
	}
}
