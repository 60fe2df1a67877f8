package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// Three questions, each waiting for its answer, are six hops, however long they are.
func TestHopsAreQuestionsAndAnswers(t *testing.T) {
	dir := t.TempDir()
	stdin, question := io.Pipe()
	answer, stdout := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		ended <- run(t.Context(), []string{"--hops", filepath.Join(dir, "hops"), "--count", filepath.Join(dir, "count"),
			"for i in 1 2 3; do read -r line && echo $line; done"}, stdin, stdout, io.Discard)
	}()
	answers := bufio.NewReader(answer)
	for range 3 {
		if _, err := io.WriteString(question, "question\n"); err != nil {
			t.Fatal(err)
		}
		if line, err := answers.ReadString('\n'); err != nil || line != "question\n" {
			t.Fatalf("answer %q, %v", line, err)
		}
	}
	if rest, err := io.ReadAll(answers); err != nil || len(rest) > 0 {
		t.Fatalf("at the end: %q, %v", rest, err)
	}
	question.Close()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"hops": "6\n", "count": "27 27\n"} {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != want {
			t.Errorf("%s: %q (%v), want %q", name, got, err, want)
		}
	}
}

// A message that doesn't wait for another adds no hop.
func TestHopsOfAStreamAreOne(t *testing.T) {
	hops := filepath.Join(t.TempDir(), "hops")
	stdin, stdout := io.Pipe()
	defer stdin.Close()
	ended := make(chan error, 1)
	go func() {
		ended <- run(t.Context(), []string{"--hops", hops, "head -c 1000000 /dev/zero"}, blocked{t.Context().Done()}, stdout, io.Discard)
	}()
	if n, err := io.Copy(io.Discard, stdin); err != nil || n != 1e6 {
		t.Fatalf("%d bytes, %v", n, err)
	}
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	var got int
	data, err := os.ReadFile(hops)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscan(string(data), &got); err != nil || got != 1 {
		t.Errorf("%q hops (%v), want 1", data, err)
	}
}

// blocked is an input that never has any bytes.
type blocked struct{ end <-chan struct{} }

func (b blocked) Read([]byte) (int, error) {
	<-b.end
	return 0, io.EOF
}
