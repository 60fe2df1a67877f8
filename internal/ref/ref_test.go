package ref

import (
	"errors"
	"os/exec"
	"strings"
	"testing"
)

// IsName agrees with git, but for what it adds: HEAD or refs/, as git's transports have it, and a limit of length.
func TestIsNameAgreesWithGit(t *testing.T) {
	names := []string{"refs/heads/main", "refs/stash", "refs/heads/a/b/c", "refs/heads/-x", "refs/heads/ä", "refs/heads/\xff\xfe", "refs/heads/@",
		"refs/heads/a@b", "refs/heads/{x}", "refs/heads/a.b", "refs/heads/lock", "refs/heads/a.lock2", "refs/heads/\"'$(x)", "refs/heads/HEAD",
		"refs/", "refs", "refs/heads/", "refs//heads", "refs/heads//a", "refs/.a", "refs/heads/.hidden", "refs/heads/a..b", "refs/../x", "refs/heads/a.",
		"refs/heads/a./b", "refs/heads/a.lock", "refs/heads/a.lock/b", "refs/heads/.lock", "refs/heads/a@{b", "refs/heads/a@{", "refs/heads/@{0}"}
	for c := 1; c <= 0xff; c++ {
		names = append(names, "refs/heads/a"+string([]byte{byte(c)})+"b")
	}
	for _, name := range names {
		err := exec.CommandContext(t.Context(), "git", "check-ref-format", name).Run()
		if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
			t.Fatal(err)
		}
		if ours := IsName(name); ours != (err == nil) {
			t.Errorf("%q: git says %v, we say %v", name, err, ours)
		}
	}
	for name, valid := range map[string]bool{
		"HEAD": true, "refs/heads/" + strings.Repeat("x", MaxName-len("refs/heads/")): true,
		"refs/heads/" + strings.Repeat("x", MaxName): false, "": false, "main": false, "heads/main": false, "FETCH_HEAD": false, "config": false,
		"/refs/heads/main": false, "refs/heads/a\x00b": false, "@": false, "REFS/heads/x": false,
	} {
		if IsName(name) != valid {
			t.Errorf("%.80q: %t", name, !valid)
		}
	}
}

// IsBranch agrees with git check-ref-format --branch: it accepts no name that git refuses, and refuses none that git takes
// for that very branch, but for very long ones and those that could be an object's.
func TestIsBranch(t *testing.T) {
	names := []string{
		"main", "a/b", "", "/", "a/", "/a", "a//b", ".a", "a/.b", "a.", "a/b.", "a.lock", "a.lock/b", "a..b", "a@{b", "@", "a@b", "@/a", "-a",
		"a/-b", "HEAD", "refs/heads/x", "a b", "a~b", "a^b", "a:b", "a?b", "a*b", "a[b", "a\\b", "a]b", "a{b", "\x7f", "a\x01", "a\tb", "a\nb",
		"é", "\xff\xfe", "a.b", "a.lockx", "lock", ".lock", "a/.lock", "head", "a\u202eb", "$(x)", "';", "--help", "x^{}", "@{-1}", "a@", "{",
	}
	for _, name := range names {
		cmd := exec.Command("git", "check-ref-format", "--branch", name)
		cmd.Dir = t.TempDir() // no repository, so that @{-1} is of no use
		out, err := cmd.Output()
		git := err == nil && strings.TrimSuffix(string(out), "\n") == name && name != "HEAD" && name != "@"
		if got := IsBranch(name); got != git {
			t.Errorf("%q: %v, git says %v", name, got, git)
		}
	}
	if IsBranch(strings.Repeat("x", MaxName+1)) {
		t.Error("a very long name is taken")
	}
}
