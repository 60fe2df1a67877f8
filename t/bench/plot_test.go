package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"
)

// A plot is well-formed XML, with an axis label each, a tick a power of ten, and every line's name.
func TestPlotIsWellFormed(t *testing.T) {
	p := plot{title: "a & b", xLabel: "objects <n>", yLabel: "bytes", series: []series{
		{"ours", []point{{10, 500}, {1001, 700}}},
		{"theirs", []point{{10, 400}, {1001, 99000}}},
	}}
	var out bytes.Buffer
	if err := p.write(&out); err != nil {
		t.Fatal(err)
	}
	var texts []string
	for decoder := xml.NewDecoder(&out); ; {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if data, ok := token.(xml.CharData); ok {
			texts = append(texts, strings.TrimSpace(string(data)))
		}
	}
	all := strings.Join(texts, "|")
	for _, want := range []string{"|a & b|", "|objects <n>|", "|bytes|", "|ours|", "|theirs|", "|10|", "|1 k|", "|100|", "|100 k|"} {
		if !strings.Contains(all, want) {
			t.Errorf("the plot lacks the text %q; it has %s", want, all)
		}
	}
	if strings.Contains(all, "|10 k|100 k|1 M|") {
		t.Error("1,001 brought 10,000 onto the axis")
	}
}

func TestPlotRefusesWhatHasNoLogarithm(t *testing.T) {
	p := plot{series: []series{{"ours", []point{{0, 1}}}}}
	if err := p.write(io.Discard); err == nil {
		t.Error("a point at 0 was drawn")
	}
}

// Each line has a colour and a form of its own, and a line without is not drawn.
func TestPlotHasAColourForEachLine(t *testing.T) {
	var p plot
	forms := make(map[string]bool)
	for i := range plotClasses {
		p.series = append(p.series, series{fmt.Sprint(i), []point{{1, 1}, {10, 10}}})
		forms[mark(i, 0, 0)] = true
	}
	var svg strings.Builder
	if err := p.write(&svg); err != nil {
		t.Fatal(err)
	}
	for i := range plotClasses {
		if n := strings.Count(svg.String(), fmt.Sprintf(".c%d { stroke", i)); n != 2 { // on light and on dark paper
			t.Errorf("line %d has %d colours", i, n)
		}
	}
	if len(forms) != plotClasses {
		t.Errorf("%d forms for %d lines", len(forms), plotClasses)
	}
	p.series = append(p.series, p.series[0])
	if err := p.write(io.Discard); err == nil {
		t.Error("a line too many was drawn")
	}
}

func TestAxisKeepsItsEnds(t *testing.T) {
	a := newAxis([]float64{10, 1000}, 100, 300)
	for value, want := range map[float64]float64{10: 100, 100: 200, 1000: 300} {
		if got := a.at(value); got != want {
			t.Errorf("%g lies at %g, want %g", value, got, want)
		}
	}
}

func TestNumbers(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567"} {
		if got := thousands(n); got != want {
			t.Errorf("thousands(%d) = %q, want %q", n, got, want)
		}
	}
	for power, want := range map[int]string{-2: "0.01", 0: "1", 4: "10 k", 6: "1 M"} {
		if got := powerLabel(power); got != want {
			t.Errorf("powerLabel(%d) = %q, want %q", power, got, want)
		}
	}
	r := row{runs: []measurement{{wall: 3 * time.Second}, {wall: time.Second}, {wall: 2 * time.Second}}}
	if got := r.wall(); got != 2*time.Second {
		t.Errorf("the median of 3, 1 and 2 s is %s", got)
	}
}
