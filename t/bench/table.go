package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// about says what was measured on.
func (b *bench) about(ctx context.Context) ([]string, error) {
	lines := []string{fmt.Sprintf("%s on %s, %s/%s, %d cores%s", time.Now().UTC().Format(time.DateOnly),
		system(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), processor())}
	for _, program := range [][]string{{"git", "aig-sync"}, {"git"}, {"rsync"}} {
		if program[0] == "rsync" && !b.rsync {
			lines = append(lines, "no rsync")
			continue
		}
		out, err := exec.CommandContext(ctx, program[0], append(program[1:], "--version")...).Output()
		if err != nil {
			return nil, fmt.Errorf("%s --version: %w", strings.Join(program, " "), err)
		}
		line, _, _ := strings.Cut(string(out), "\n")
		lines = append(lines, strings.Join(strings.Fields(line), " "))
	}
	if out, err := exec.CommandContext(ctx, "git", "describe", "--always", "--dirty").Output(); err == nil {
		lines = append(lines, "this checkout: "+strings.TrimSpace(string(out)))
	}
	rate := "without a limit to its rate"
	if b.rate > 0 {
		rate = fmt.Sprintf("of %s bytes a second and direction", thousands(b.rate))
	}
	return append(lines, fmt.Sprintf("a pipe %s; medians of %d runs in turn, unless it is said below; round trips through %s one way", rate, b.repeat, b.delay)), nil
}

// system returns the name that the operating system gives itself.
func system() string {
	data, err := os.ReadFile("/etc/os-release")
	if err != nil {
		return runtime.GOOS
	}
	return valueOf(string(data), "PRETTY_NAME", "=")
}

// processor returns the processor's name, if the system tells it.
func processor() string {
	data, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	if name := valueOf(string(data), "model name", ":"); name != "" {
		return " of " + name
	}
	return ""
}

func valueOf(text, key, separator string) string {
	for line := range strings.Lines(text) {
		k, value, _ := strings.Cut(line, separator)
		if strings.TrimSpace(k) == key {
			return strings.Trim(strings.TrimSpace(value), `"`)
		}
	}
	return ""
}

const explanation = `
How to read it:

- **seconds**: from the start of the command to its exit, both directions, the other side included. Two commands ran one
  after the other, and their times are added. **ours ÷ theirs**: below 1, ours is faster.
- **CPU**: seconds of processor time of the whole run, both sides, git's children and the pipe. **others**: what everybody else on the
  machine took meanwhile, in cores; the most of all runs. Much more than 0 there, and the row says little.
- git aig-sync encrypts what goes through the pipe, and both sides prove who they are. Rows with "ssh" are the others'
  commands as they run between two machines, OpenSSH's client and server over the same pipe; those without ran bare, which
  spares them the round trips, bytes and time of a connection each.
- rsync copies whole files and looks into none: nothing is verified, and what both sides had packed differently is then
  there twice. In the generated cases both sides have the same large pack, which is as good for it as can be.
- **to Bob, from Bob**: bytes that went through the pipe; Alice is where the commands are typed.
- **round trips, felt**: the time of a run through a delaying pipe, less the median without the delay, divided by
  the delay there and back. **counted**: half the longest chain of messages of which each left after the one before had
  arrived; where both sides stream at the same time, it is an upper bound. The exit of the other side counts.
- **memory, program**: the largest peak resident size (VmHWM, mapped files included) of one of the tool's own processes
  (named git-aig-sync, git… or rsync). **all**: the largest sum of anonymous memory (RssAnon) of all processes of both
  sides, our git children included, the pipe's own left out. Sampled every 20 ms, or less often where that takes more than a fiftieth
  of a core; the highest of all runs.
- After every run, both stores were checked to hold exactly what either had held before.
`

// writeReport writes everything but the plots, as Markdown.
func writeReport(w io.Writer, r report) {
	fmt.Fprint(w, "# git aig-sync, and what else one could have taken\n\n")
	for _, line := range r.about {
		fmt.Fprintf(w, "- %s\n", line)
	}
	if len(r.results) > 0 {
		fmt.Fprint(w, "\n| store | case | tool | seconds | ours ÷ theirs | CPU | others | to Bob | from Bob | round trips, felt | counted | memory, program | all |\n")
		fmt.Fprint(w, "|---|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n")
		for _, result := range r.results {
			writeResult(w, r.bench, result)
		}
	}
	if len(r.cuts) > 0 {
		fmt.Fprint(w, "\nAn empty store is filled, the link breaks after half of the bytes, and the same command runs again:\n\n")
		fmt.Fprint(w, "| store | tool | seconds, uncut | CPU | others | second run | CPU | others | ours ÷ theirs | bytes from Bob, uncut | second run | share |\n")
		fmt.Fprint(w, "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n")
		writeCuts(w, r.cuts)
	}
	for _, s := range r.sweeps {
		fmt.Fprintf(w, "\nThe points of the plots against %s (%s):\n\n", s.axis, s.title)
		fmt.Fprintf(w, "| %s | tool | seconds | ours ÷ theirs | CPU | others | bytes, both ways |\n|--:|---|--:|--:|--:|--:|--:|\n", s.axis)
		for _, p := range s.points {
			for _, row := range p.result.rows {
				to, from := row.bytes()
				fmt.Fprintf(w, "| %s | %s | %s | %s | %s | %s |\n", thousands(p.at), row.tool, seconds(row), ratio(p.result.rows[0], row), loads(row), thousands(to+from))
			}
		}
	}
	fmt.Fprint(w, explanation)
}

func writeResult(w io.Writer, b *bench, r result) {
	c := r.comparison
	what := fmt.Sprintf("%s | %s: %s + %s of %s objects", r.store.name, r.title,
		thousands(c.alice), thousands(c.bob), thousands(c.alice+c.bob+c.both))
	for _, row := range r.rows {
		to, from := row.bytes()
		felt, counted := "–", "–"
		if d := row.delayed; d != nil {
			felt = fmt.Sprintf("%.1f", (d.wall-row.wall()).Seconds()/(2*b.delay).Seconds())
			counted = fmt.Sprintf("%.1f", float64(d.hops)/2)
		}
		program, tree := "–", "–"
		if p, t := row.memory(); memoryMeasured {
			program, tree = mebibytes(p), mebibytes(t)
		}
		fmt.Fprintf(w, "| %s | %s | %s | %s | %s | %s | %s | %s | %s | %s | %s |\n", what, row.tool, seconds(row),
			ratio(r.rows[0], row), loads(row), thousands(to), thousands(from), felt, counted, program, tree)
		what = " | "
	}
}

func writeCuts(w io.Writer, cuts []cutResult) {
	var ours cutResult
	for _, c := range cuts {
		name := ""
		if c.store != ours.store {
			ours, name = c, c.store.name
		}
		_, uncut := c.uncut.bytes()
		_, second := c.second.bytes()
		fmt.Fprintf(w, "| %s | %s | %s | %s | %s | %s | %s | %s | %s | %.1f %% |\n", name, c.tool, seconds(c.uncut), loads(c.uncut), seconds(c.second), loads(c.second),
			ratio(ours.second, c.second), thousands(uncut), thousands(second), 100*float64(second)/float64(uncut))
	}
}

// loads returns two columns.
func loads(r row) string {
	if !memoryMeasured {
		return "– | –"
	}
	ours, others := r.load()
	return fmt.Sprintf("%.2f | %.2f", ours.Seconds(), others)
}

func seconds(r row) string { return fmt.Sprintf("%.2f", r.wall().Seconds()) }

func ratio(ours, theirs row) string {
	return fmt.Sprintf("%.2f", ours.wall().Seconds()/theirs.wall().Seconds())
}

func mebibytes(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }

// thousands returns a number with a comma before every three digits.
func thousands[T int | int64](n T) string {
	digits := strconv.FormatInt(int64(n), 10)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}
