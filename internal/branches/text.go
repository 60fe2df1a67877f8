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
	// maxShown is how many branches a person is shown; a peer may have a hundred thousand.
	maxShown = 500
	// MaxTips is how many commits to which nothing points a person is shown; a life of rebasing leaves thousands.
	MaxTips = 20
	// maxPaths is how many of the touched paths are named.
	maxPaths = 5
	// maxColumn is the widest column of names, and maxShownName the length at which one is cut, in bytes.
	maxColumn, maxShownName = 40, 200
)

// WriteText writes the report for a person: a line for each branch, below it the command that takes it. What is too much
// for a person is counted, and stands in the porcelain format.
func (r *Report) WriteText(w io.Writer) error {
	out := bufio.NewWriter(w)
	shown := r.Branches[:min(len(r.Branches), maxShown)]
	width := 0
	for _, b := range shown {
		if n := len(shownName(b.Name)); n <= maxColumn {
			width = max(width, n)
		}
	}
	for _, b := range shown {
		fmt.Fprintf(out, "%-*s  %s  %s\n", width, shownName(b.Name), shortObject(b.Theirs), b.describe())
		if command := r.Here.Command(b); command != "" {
			fmt.Fprintf(out, "    %s\n", command)
		}
		if len(b.Dirty) > 0 {
			fmt.Fprintf(out, "    warning: it would touch uncommitted changes: %s\n", paths(b.Dirty))
		}
	}
	more(out, len(r.Branches)-len(shown), "branch", "branches")
	tips := r.Tips[:min(len(r.Tips), MaxTips)]
	if len(tips) > 0 {
		fmt.Fprintln(out, "commits that came in and that nothing points to, newest first:")
	}
	for _, tip := range tips {
		if !ref.IsObjectName(tip) {
			continue
		}
		about, known := r.About[tip]
		if known {
			fmt.Fprintf(out, "%s  %s, %s, %s\n", shortObject(tip), strconv.QuoteToASCII(about.Subject), oneLine(about.Author), oneLine(about.Date))
		}
		if strings.HasPrefix(about.Subject, ref.SnapshotSubject) {
			fmt.Fprintf(out, "    %s\n", ref.Shell("git", "stash", "apply", tip))
		}
		fmt.Fprintf(out, "    %s\n", ref.Shell("git", "branch", "found-"+tip[:12], tip))
	}
	more(out, len(r.Tips)-len(tips), "commit", "commits")
	if n := len(r.Broken); n > 0 {
		fmt.Fprintf(out, "%s came in whose history is incomplete here, or refused by git's checks: no branch should be made of it "+
			"(--refs=porcelain lists all)\n", count(n, "commit", "commits"))
	}
	return out.Flush()
}

func more(w io.Writer, n int, one, many string) {
	if n > 0 {
		fmt.Fprintf(w, "and %s more (--refs=porcelain lists all)\n", count(n, one, many))
	}
}

// describe is the class in words.
func (b Branch) describe() string {
	switch b.Class() {
	case UpToDate:
		return "up to date"
	case FastForward:
		return "fast-forward: " + count(b.OnlyTheirs, "commit", "commits") + " ahead of yours"
	case Behind:
		return fmt.Sprintf("behind yours by %d", b.OnlyOurs)
	case RequiresMerge:
		return fmt.Sprintf("requires merge: %d yours, %d theirs", b.OnlyOurs, b.OnlyTheirs)
	case Unrelated:
		return "unrelated history"
	case New:
		return "new"
	}
	return "unknown: " + oneLine(b.why())
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// shownName is a reference's name, without refs/heads/, quoted unless it is plain.
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

// oneLine quotes a reason that a terminal could misunderstand. It comes from git, and so, in places, from elsewhere.
func oneLine(s string) string {
	if ref.Printable(s) {
		return s
	}
	return strconv.QuoteToASCII(s)
}
