package torture

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// process is a live process of a sync.
type process struct {
	pid  int
	who  int    // whose it is, by its environment
	kind string // "git-aig-sync", "git index-pack", "sh", "leader"
}

func (p process) String() string { return fmt.Sprintf("%s's %s (%d)", names[p.who], p.kind, p.pid) }

// processes finds the processes of one sync by a mark in the environment, which all of them inherit, even those whose parents are
// gone.
type processes struct {
	mark string
	seen map[int]int // by pid: whose it is, or notOurs
}

const notOurs = -1

func newProcesses(mark string) *processes {
	return &processes{mark: "AIG_MARK=" + mark, seen: make(map[int]int)}
}

// live returns the processes that are running now, without zombies.
func (p *processes) live() []process {
	dir, err := os.Open("/proc")
	if err != nil {
		panic(err)
	}
	entries, err := dir.Readdirnames(-1)
	dir.Close()
	if err != nil {
		panic(err)
	}
	seen := make(map[int]int, len(p.seen))
	var live []process
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry)
		if err != nil {
			continue
		}
		who, known := p.seen[pid]
		if !known {
			if who, known = p.whose(pid); !known {
				continue
			}
		}
		seen[pid] = who
		if who == notOurs {
			continue
		}
		if kind := kindOf(pid); kind != "" {
			live = append(live, process{pid, who, kind})
		}
	}
	p.seen = seen // pids that are gone may be reused
	return live
}

// whose returns whose a process is. While it executes another program it has no environment, and this isn't known yet.
func (p *processes) whose(pid int) (who int, known bool) {
	env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	if err != nil {
		return notOurs, true
	}
	if len(env) == 0 {
		return notOurs, false
	}
	who, marked := notOurs, false
	for kv := range bytes.SplitSeq(env, []byte{0}) {
		switch s := string(kv); {
		case s == p.mark:
			marked = true
		case strings.HasPrefix(s, "HOME="):
			who = slices.Index(names[:], filepath.Base(s))
		}
	}
	if !marked {
		return notOurs, true
	}
	return who, true
}

// kindOf returns what a process runs, or "" if it has ended.
func kindOf(pid int) string {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	// "pid (name) state …", where the name may contain anything.
	if at := bytes.LastIndexByte(stat, ')'); at < 0 || at+2 >= len(stat) || strings.IndexByte("ZXx", stat[at+2]) >= 0 {
		return ""
	}
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil || len(line) == 0 {
		return "" // about to end
	}
	args := strings.Split(strings.TrimSuffix(string(line), "\x00"), "\x00")
	kind := filepath.Base(args[0])
	if args[len(args)-1] == "aig-leader" {
		return "leader" // of a transport's process group, not the transport itself
	}
	if kind == "git" {
		for i := 1; i < len(args); i++ {
			switch {
			case args[i] == "-C":
				i++
			case !strings.HasPrefix(args[i], "-"):
				return kind + " " + args[i]
			}
		}
	}
	return kind
}

// glance is the interval between two looks for a process that may only live for a few milliseconds.
const glance = time.Millisecond

// await waits until there is no live process. After the limit it kills those that are left, and returns them.
func (p *processes) await(limit time.Duration) []process {
	deadline := time.Now().Add(limit)
	for {
		left := p.live()
		if len(left) == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			for _, one := range left {
				syscall.Kill(one.pid, syscall.SIGKILL)
			}
			return left
		}
		time.Sleep(10 * time.Millisecond)
	}
}
