package branches

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"

	"aig/internal/ref"
)

const (
	// maxPaths is how many of the touched paths are named.
	maxPaths = 5
	// maxColumn is the widest column of names, and maxShownName the length at which one is cut, in bytes.
	maxColumn, maxShownName = 40, 200
	// maxSubject is the length at which a subject is cut, in characters.
	maxSubject = 50
)

// WriteText writes the report for a person: a line for each branch, below it the command that takes it. lines bounds those for
// branches, and those for commits that nothing points to; what is left out is counted.
func (r *Report) WriteText(w io.Writer, lines int) error {
	out := bufio.NewWriter(w)
	width := 0
	for _, b := range r.Branches[:min(len(r.Branches), lines)] {
		if n := len(shownName(b.Name)); n <= maxColumn {
			width = max(width, n)
		}
	}
	merges := false
	fit(out, lines, r.Branches, func(b Branch) string {
		text := fmt.Sprintf("%-*s  %s  %s%s\n", width, shownName(b.Name), shortObject(b.Theirs), b.describe(), r.newest(b))
		if command := r.Here.Command(b); command != "" {
			text += "    " + command + "\n"
		}
		if len(b.Dirty) > 0 {
			text += "    warning: it would touch uncommitted changes: " + paths(b.Dirty) + "\n"
		}
		if b.Class() == RequiresMerge && !merges {
			merges = true
			text += "    (only one of you should merge; the other takes the merge after the next sync)\n"
		}
		return text
	})
	if len(r.Tips) > 0 {
		fmt.Fprintln(out, "commits that came in and that nothing points to, newest first:")
	}
	fit(out, lines, r.Tips, r.describeTip)
	if n := len(r.Broken); n > 0 {
		fmt.Fprintf(out, "%s came in with incomplete history, or with files that git's checks refuse: make no branch of any "+
			"(--porcelain lists all)\n", Count(n, "commit", "commits"))
	}
	return out.Flush()
}

// fit writes as many of the texts of all as fit into so many lines together, but always the first one, and counts the others.
func fit[T any](w io.Writer, lines int, all []T, text func(T) string) {
	for i, one := range all {
		block := text(one)
		if lines -= strings.Count(block, "\n"); lines < 0 && i > 0 {
			fmt.Fprintf(w, "… and %d more (--refs=all)\n", len(all)-i)
			return
		}
		io.WriteString(w, block)
	}
}

// newest says what a person wants to know about a branch's newest commit, if the branch brings something.
func (r *Report) newest(b Branch) string {
	about, known := r.About[b.Theirs]
	if class := b.Class(); !known || class == UpToDate || class == Behind {
		return ""
	}
	return fmt.Sprintf("; %s, %s, %s", subject(about), ref.Show(about.Author), ref.Show(about.Age))
}

func (r *Report) describeTip(tip string) string {
	if !ref.IsObjectName(tip) {
		return ""
	}
	var text string
	about, known := r.About[tip]
	if known {
		text = fmt.Sprintf("%s  %s, %s, %s\n", shortObject(tip), subject(about), ref.Show(about.Author), ref.Show(about.Date))
	}
	if strings.HasPrefix(about.Subject, ref.SnapshotSubject) {
		text += "    " + ref.Shell("git", "stash", "apply", tip) + "\n"
	}
	return text + "    " + ref.Shell("git", "branch", "found-"+tip[:12], tip) + "\n"
}

// subject returns the subject of a commit, quoted, and cut if it is long.
func subject(about ref.About) string {
	quote, end := strconv.QuoteToASCII, ""
	if ref.Printable(about.Subject) {
		quote = strconv.Quote
	}
	cut := []rune(about.Subject)
	if len(cut) > maxSubject {
		cut, end = cut[:maxSubject], "…"
	}
	return quote(string(cut)) + end
}

// describe returns the class in words.
func (b Branch) describe() string {
	switch b.Class() {
	case UpToDate:
		return "up to date"
	case FastForward:
		return "fast-forward: " + Count(b.OnlyTheirs, "commit", "commits") + " ahead of yours"
	case Behind:
		return fmt.Sprintf("behind yours by %d", b.OnlyOurs)
	case RequiresMerge:
		text := fmt.Sprintf("requires merge: %d yours, %d theirs", b.OnlyOurs, b.OnlyTheirs)
		if b.Same > 0 {
			text += fmt.Sprintf(" (%d of them already among yours under another name)", b.Same)
		}
		return text
	case Unrelated:
		return "unrelated history"
	case New:
		return "new"
	}
	return "unknown: " + ref.Show(b.why())
}

// Count returns a number with what is counted.
func Count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// shownName returns a reference's name, without refs/heads/, quoted unless it is plain.
func shownName(name string) string {
	if name == "HEAD" {
		return "HEAD (detached)"
	}
	name, _ = strings.CutPrefix(name, ref.Branches)
	if len(name) > maxShownName {
		return ref.Quote(name[:maxShownName]) + "..."
	}
	return ref.Quote(name)
}

func shortObject(name string) string {
	if !ref.IsObjectName(name) {
		return "-        "
	}
	return name[:8] + "…"
}

func paths(all []string) string {
	var shown []string
	for _, path := range all[:min(len(all), maxPaths)] {
		shown = append(shown, ref.Quote(path))
	}
	s := strings.Join(shown, ", ")
	if n := len(all) - len(shown); n > 0 {
		s += fmt.Sprintf(" and %d more", n)
	}
	return s
}
