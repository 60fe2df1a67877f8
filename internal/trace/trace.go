// Package trace writes what a process does to where GIT_TRACE and GIT_TRACE2_EVENT point, in git's own formats (git(1), and git's
// technical/api-trace2), so that a sync is traced like any other git command.
package trace

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"
)

// Trace traces one process. Its methods may be called from several goroutines. Those of a nil Trace do nothing.
type Trace struct {
	text, events *os.File // nil if not asked for
	sid          string   // of the process, after that of the process that started it
	began        time.Time

	mu         sync.Mutex // guards what follows, and the order of lines
	children   int
	phase      string
	phaseBegan time.Time
}

// New begins the trace of this process. It returns nil if the environment asks for none.
func New() *Trace {
	now := time.Now()
	t := &Trace{text: open("GIT_TRACE"), events: open("GIT_TRACE2_EVENT"), began: now}
	if t.text == nil && t.events == nil {
		return nil
	}
	var host [4]byte
	rand.Read(host[:])
	t.sid = fmt.Sprintf("%s-H%x-P%08x", now.UTC().Format("20060102T150405.000000Z"), host, os.Getpid())
	if parent := os.Getenv("GIT_TRACE2_PARENT_SID"); parent != "" {
		t.sid = parent + "/" + t.sid
	}
	t.event("version", map[string]any{"evt": "3", "exe": filepath.Base(os.Args[0])})
	t.event("start", map[string]any{"t_abs": 0.0, "argv": os.Args})
	t.event("cmd_name", map[string]any{"name": filepath.Base(os.Args[0])})
	return t
}

// open opens the target that a variable names, as git understands it: a file, standard error, or another descriptor. It returns nil
// if it can't.
func open(name string) *os.File {
	switch target := os.Getenv(name); {
	case target == "1" || target == "2" || strings.EqualFold(target, "true"):
		return os.Stderr
	case len(target) == 1 && target >= "3" && target <= "9":
		return os.NewFile(uintptr(target[0]-'0'), target)
	case filepath.IsAbs(target):
		f, _ := os.OpenFile(target, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o666)
		return f
	}
	return nil
}

// Env returns what a child's environment needs for its events to be nested below ours.
func (t *Trace) Env() []string {
	if t == nil || t.events == nil {
		return nil
	}
	return []string{"GIT_TRACE2_PARENT_SID=" + t.sid}
}

// Phase notes that a phase begins, and the last one ends; "" only ends it.
func (t *Trace) Phase(name string) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.phase != "" {
		t.event("region_leave", map[string]any{"nesting": 1, "category": "aig", "label": t.phase, "t_rel": time.Since(t.phaseBegan).Seconds()})
	}
	if t.phase, t.phaseBegan = name, time.Now(); name != "" {
		t.event("region_enter", map[string]any{"nesting": 1, "category": "aig", "label": name})
		t.line(name)
	}
}

// Child notes that a child of a class ("git", "transport") starts. The function that it returns notes that it has ended.
func (t *Trace) Child(class string, argv []string) (exited func(code int)) {
	if t == nil {
		return func(int) {}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	id, began := t.children, time.Now()
	t.children++
	t.event("child_start", map[string]any{"child_id": id, "child_class": class, "use_shell": class != "git", "argv": argv})
	t.line(fmt.Sprintf("run_command: %q", argv))
	return func(code int) {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.event("child_exit", map[string]any{"child_id": id, "code": code, "t_rel": time.Since(began).Seconds()})
	}
}

// Exit notes that the process ends, and its status.
func (t *Trace) Exit(code int) {
	t.Phase("")
	if t != nil {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.event("exit", map[string]any{"t_abs": time.Since(t.began).Seconds(), "code": code})
		t.event("atexit", map[string]any{"t_abs": time.Since(t.began).Seconds(), "code": code})
	}
}

// event writes one line of GIT_TRACE2_EVENT: a JSON object, in one write.
func (t *Trace) event(name string, fields map[string]any) {
	if t.events == nil {
		return
	}
	file, line := caller()
	fields["event"], fields["sid"], fields["thread"], fields["file"], fields["line"] = name, t.sid, "main", file, line
	fields["time"] = time.Now().UTC().Format("2006-01-02T15:04:05.000000Z")
	text, err := json.Marshal(fields)
	if err == nil {
		t.events.Write(append(text, '\n'))
	}
}

// line writes one line of GIT_TRACE, with git's columns.
func (t *Trace) line(text string) {
	if t.text != nil {
		file, line := caller()
		where := fmt.Sprintf("%s %s:%d ", time.Now().Format("15:04:05.000000"), file, line)
		fmt.Fprintf(t.text, "%-40strace: %s\n", where, text)
	}
}

// caller returns the place outside this file that called the trace.
func caller() (file string, line int) {
	for skip := 2; ; skip++ {
		_, path, line, ok := runtime.Caller(skip)
		if file = filepath.Base(path); !ok || file != "trace.go" {
			return file, line
		}
	}
}
