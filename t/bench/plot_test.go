package main

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// The plots are kept as points and can be redrawn from them: each is a well-formed SVG, with the title, the axes and every
// line's name.
func TestPlots(t *testing.T) {
	points := []recorded{
		{"size", "a & b", "objects <n>", 10, "ours", 0.5, 500}, {"size", "a & b", "objects <n>", 10, "theirs", 0.25, 400},
		{"size", "a & b", "objects <n>", 1001, "ours", 1, 700}, {"size", "a & b", "objects <n>", 1001, "theirs", 2, 99000},
	}
	dir := t.TempDir()
	if err := writePlots(dir, points); err != nil {
		t.Fatal(err)
	}
	for name, label := range map[string]string{"seconds-size.svg": "seconds", "bytes-size.svg": "bytes through the pipe, both ways"} {
		drawn, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		texts := textsOf(t, string(drawn))
		for _, want := range []string{"a & b", "objects <n>", label, "ours", "theirs", "10", "100", "1000"} {
			if !strings.Contains(texts, "|"+want+"|") {
				t.Errorf("%s lacks the text %q; it has %s", name, want, texts)
			}
		}
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := os.Open(filepath.Join(dir, plotsFile))
	if err != nil {
		t.Fatal(err)
	}
	defer kept.Close()
	if again, err := readPoints(kept); err != nil || !reflect.DeepEqual(again, points) {
		t.Errorf("kept as %v (%v)", again, err)
	}
	if err := redrawPlots(dir); err != nil {
		t.Fatal(err)
	}
	if drawn, _ := filepath.Glob(filepath.Join(dir, "*.svg")); len(drawn) != 2 {
		t.Errorf("drawn again: %v", drawn)
	}
}

func textsOf(t *testing.T, svg string) string {
	t.Helper()
	texts := "|"
	for decoder := xml.NewDecoder(strings.NewReader(svg)); ; {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return texts
		}
		if err != nil {
			t.Fatal(err)
		}
		if data, ok := token.(xml.CharData); ok {
			texts += strings.TrimSpace(string(data)) + "|"
		}
	}
}

func TestPlotRefusesWhatHasNoLogarithm(t *testing.T) {
	if err := drawPlots(t.TempDir(), []recorded{{"size", "a", "b", 0, "ours", 1, 1}}); err == nil {
		t.Error("a point at 0 was drawn")
	}
}

// The plots that docs/performance.md shows can be redrawn.
func TestPlotsOfTheDocuments(t *testing.T) {
	kept, err := os.Open("../../docs/" + plotsFile)
	if err != nil {
		t.Fatal(err)
	}
	defer kept.Close()
	points, err := readPoints(kept)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := drawPlots(dir, points); err != nil {
		t.Fatal(err)
	}
	drawn, _ := filepath.Glob(filepath.Join(dir, "*.svg"))
	for _, file := range drawn {
		if _, err := os.Stat("../../docs/" + filepath.Base(file)); err != nil {
			t.Error(err)
		}
	}
	if len(drawn) != 4 {
		t.Errorf("%d plots", len(drawn))
	}
}

func TestNumbers(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567"} {
		if got := thousands(n); got != want {
			t.Errorf("thousands(%d) = %q, want %q", n, got, want)
		}
	}
	r := row{runs: []measurement{{wall: 3 * time.Second}, {wall: time.Second}, {wall: 2 * time.Second}}}
	if got := r.wall(); got != 2*time.Second {
		t.Errorf("the median of 3, 1 and 2 s is %s", got)
	}
}
