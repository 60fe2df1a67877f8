package git

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"aig/internal/gittest"
	"aig/internal/ref"
)

// FuzzFailure: whatever git says before it fails, however it is split, our error is one line without a control character, and we keep
// no more than a few lines of at most maxLine.
func FuzzFailure(f *testing.F) {
	f.Add([]byte("error: bad object \x1b[2J\nfatal: stop\r\n"), uint8(3))
	f.Add(bytes.Repeat([]byte("warning: x"), maxLine/5), uint8(255))
	f.Fuzz(func(t *testing.T, text []byte, size uint8) {
		c, whole := Git{}.Command(t.Context(), nil, "index-pack"), Git{}.Command(t.Context(), nil, "index-pack")
		for part := range slices.Chunk(text, int(size)+1) {
			c.stderr.Write(part)
			if len(c.stderr.part) > maxLine {
				t.Fatalf("%d bytes are kept", len(c.stderr.part))
			}
		}
		whole.stderr.Write(text)
		c.stderr.Close()
		whole.stderr.Close()
		if s := c.said; s != whole.said || max(len(s.fatal), len(s.why), len(s.line), len(s.complaint)) > maxLine {
			t.Errorf("in parts: %q, whole: %q", s, whole.said)
		}
		if err := c.explain(io.ErrUnexpectedEOF); ref.HasControl(err.Error()) {
			t.Errorf("the error is %q", err)
		}
	})
}

// FuzzConfig: our keys, and those of a remote of any name, have the same values in the configuration that is listed once
// as when git is asked for each.
func FuzzConfig(f *testing.F) {
	f.Add([]byte("[aig]\n\ttrust = SHA256:x\n\tTRUST = y # z\n\trefs\n"), "origin")
	f.Add([]byte("[remote \"a.B\\\"c\"]\n\turl = \"aig::sh -c \\\"x\\ny\\\" \"\n[Aig]\ntrust=\n"), "a.B\"c")
	f.Add([]byte("[aig]\n\ttrust\n[remote.A.b]url=1\n[remote \"a.b\"]URL=\xff\n[aig]trust = -7\\\n0"), "A.b")
	f.Add([]byte("[broken\n"), "")
	dir := f.TempDir()
	file := filepath.Join(dir, "config")
	env := append(gittest.Env(f), "GIT_CONFIG_GLOBAL="+file)
	f.Fuzz(func(t *testing.T, text []byte, remote string) {
		if bytes.Contains(bytes.ToLower(text), []byte("include")) || strings.ContainsAny(remote, "\n\x00") {
			return // an include could name any file on this machine; and such a name is none to RemoteURL
		}
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		settings := new(Settings)
		for _, key := range []string{"aig.trust", "remote." + remote + ".url"} {
			out, err := Git{Dir: dir, Env: env}.Command(t.Context(), nil, "config", "-z", "--get-all", key).Output()
			var asked []string
			switch {
			case err == nil:
				asked = strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
			case ExitCode(err) == 1: // it is not set
				err = nil
			}
			listed, listErr := Git{Dir: dir, Env: env, Settings: settings}.ConfigAll(t.Context(), key, "")
			if listErr != nil && ref.HasControl(listErr.Error()) {
				t.Errorf("the error is %q", listErr)
			}
			if (err == nil) != (listErr == nil) || !slices.Equal(asked, listed) {
				t.Errorf("%q: git says %q, %v, and lists %q, %v", key, asked, err, listed, listErr)
			}
		}
	})
}
