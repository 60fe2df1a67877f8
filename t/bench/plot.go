package main

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"text/template"
)

// plot is lines through points, both axes logarithmic.
type plot struct {
	title, xLabel, yLabel string
	series                []series
}

type series struct {
	name   string
	points []point // from left to right, both coordinates above 0
}

type point struct{ x, y float64 }

// writePlots writes bytes and time of each sweep, as SVG files.
func writePlots(dir string, sweeps []sweep) error {
	for _, s := range sweeps {
		if len(s.points) == 0 {
			continue
		}
		bytes := s.plot("bytes through the pipe, both ways", func(r row) float64 {
			to, from := r.bytes()
			return float64(to + from)
		})
		seconds := s.plot("seconds", func(r row) float64 { return r.wall().Seconds() })
		for name, p := range map[string]plot{"bytes-" + s.name: bytes, "seconds-" + s.name: seconds} {
			if err := writePlot(filepath.Join(dir, name+".svg"), p); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s sweep) plot(yLabel string, value func(row) float64) plot {
	p := plot{title: s.title, xLabel: s.axis, yLabel: yLabel}
	for i, row := range s.points[0].result.rows {
		line := series{name: row.tool}
		for _, at := range s.points {
			line.points = append(line.points, point{float64(at.at), value(at.result.rows[i])})
		}
		p.series = append(p.series, line)
	}
	return p
}

func writePlot(name string, p plot) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := p.write(f); err != nil {
		return err
	}
	return f.Close()
}

// Sizes in the drawing's own units.
const (
	plotWidth, plotHeight = 760, 420
	plotLeft, plotRight   = 76, 190 // room for the labels beside the axes
	plotTop, plotBottom   = 44, 56
	labelDistance         = 15 // least height between two names
	markSize              = 4.5
)

// axis maps the powers of ten from low to high onto a stretch of the drawing.
type axis struct {
	low, high  int
	start, end float64
}

// newAxis gives an axis for the values. One that lies hardly beyond a power of ten makes no new one needed.
func newAxis(values []float64, start, end float64) axis {
	const hardly = 0.05
	a := axis{
		low:   int(math.Floor(math.Log10(slices.Min(values)) + hardly)),
		high:  int(math.Ceil(math.Log10(slices.Max(values)) - hardly)),
		start: start, end: end,
	}
	a.high = max(a.high, a.low+1)
	return a
}

func (a axis) at(value float64) float64 {
	return a.start + (a.end-a.start)*(math.Log10(value)-float64(a.low))/float64(a.high-a.low)
}

// What the template draws.
type (
	drawing struct {
		Title, XLabel, YLabel    string
		Width, Height            int
		Left, Right, Top, Bottom float64
		XTicks, YTicks           []tick
		Lines                    []line
	}
	tick struct {
		At    float64
		Label string
		Minor bool
	}
	line struct {
		Name   string
		Class  int
		Path   string
		Marks  []string
		LabelX float64
		LabelY float64
	}
)

// LabelMark is the mark in front of the name, which may have been moved away from the line's end.
func (l line) LabelMark() string { return mark(l.Class, l.LabelX-12, l.LabelY-4) }

// plotClasses is how many lines a plot can have: each has a colour and a form of its own.
const plotClasses = 5

// write draws the plot as SVG.
func (p plot) write(w io.Writer) error {
	if len(p.series) > plotClasses {
		return fmt.Errorf("%s: %d lines, and colours for %d", p.title, len(p.series), plotClasses)
	}
	var xs, ys []float64
	for _, s := range p.series {
		for _, at := range s.points {
			if at.x <= 0 || at.y <= 0 {
				return fmt.Errorf("%s: the point (%g, %g) of %s has no place on logarithmic axes", p.title, at.x, at.y, s.name)
			}
			xs, ys = append(xs, at.x), append(ys, at.y)
		}
	}
	d := drawing{
		Title: p.title, XLabel: p.xLabel, YLabel: p.yLabel, Width: plotWidth, Height: plotHeight,
		Left: plotLeft, Right: plotWidth - plotRight, Top: plotTop, Bottom: plotHeight - plotBottom,
	}
	x, y := newAxis(xs, d.Left, d.Right), newAxis(ys, d.Bottom, d.Top)
	d.XTicks, d.YTicks = x.ticks(), y.ticks()
	for i, s := range p.series {
		l := line{Name: s.name, Class: i}
		for j, at := range s.points {
			command := "L"
			if j == 0 {
				command = "M"
			}
			l.Path += fmt.Sprintf("%s%.1f %.1f", command, x.at(at.x), y.at(at.y))
			l.Marks = append(l.Marks, mark(i, x.at(at.x), y.at(at.y)))
			l.LabelX, l.LabelY = x.at(at.x)+24, y.at(at.y)+4
		}
		d.Lines = append(d.Lines, l)
	}
	d.separateLabels()
	return plotTemplate.Execute(w, d)
}

// separateLabels moves names down that would lie on one another.
func (d *drawing) separateLabels() {
	byHeight := make([]*line, len(d.Lines))
	for i := range d.Lines {
		byHeight[i] = &d.Lines[i]
	}
	slices.SortFunc(byHeight, func(a, b *line) int { return cmp.Compare(a.LabelY, b.LabelY) })
	for i := 1; i < len(byHeight); i++ {
		byHeight[i].LabelY = max(byHeight[i].LabelY, byHeight[i-1].LabelY+labelDistance)
	}
}

func (a axis) ticks() []tick {
	var ticks []tick
	for power := a.low; power <= a.high; power++ {
		ticks = append(ticks, tick{At: a.at(math.Pow10(power)), Label: powerLabel(power)})
		for digit := 2; digit <= 9 && power < a.high; digit++ {
			ticks = append(ticks, tick{At: a.at(float64(digit) * math.Pow10(power)), Minor: true})
		}
	}
	return ticks
}

// powerLabel writes a power of ten with the prefixes of SI.
func powerLabel(power int) string {
	if power < 0 {
		return fmt.Sprintf("%.*f", -power, math.Pow10(power))
	}
	prefix := []string{"", " k", " M", " G", " T"}[min(power/3, 4)]
	return fmt.Sprintf("%.0f%s", math.Pow10(power-min(power/3, 4)*3), prefix)
}

// mark gives the outline of a point: a form of its own for each line, since not everybody tells the colours apart.
func mark(class int, x, y float64) string {
	const s = markSize
	switch class {
	case 0:
		return fmt.Sprintf("M%.1f %.1fa%g %g 0 1 0 %g 0a%g %g 0 1 0 %g 0z", x-s, y, s, s, 2*s, s, s, -2*s)
	case 1:
		return fmt.Sprintf("M%.1f %.1fh%gv%gh%gz", x-s+.5, y-s+.5, 2*s-1, 2*s-1, 1-2*s)
	case 2:
		return fmt.Sprintf("M%.1f %.1fl%g %gh%gz", x, y-s-.5, s+.5, 2*s, -2*s-1)
	case 3:
		return fmt.Sprintf("M%.1f %.1fl%g %gl%g %gl%g %gz", x, y-s-1, s+1, s+1, -s-1, s+1, -s-1, -s-1)
	default:
		return fmt.Sprintf("M%.1f %.1fl%g %gh%gz", x, y+s+.5, s+.5, -2*s, -2*s-1)
	}
}

var plotTemplate = template.Must(template.New("plot").Parse(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {{.Width}} {{.Height}}" width="{{.Width}}" height="{{.Height}}" role="img">
<title>{{html .YLabel}} against {{html .XLabel}}: {{html .Title}}</title>
<style>
text { font: 13px sans-serif; fill: #222 }
.title { font-weight: bold }
.paper { fill: #fff }
.major { stroke: #bbb; fill: none }
.minor { stroke: #eee; fill: none }
.line { fill: none; stroke-width: 2 }
.c0 { stroke: #0060b0 } .m0 { fill: #0060b0 }
.c1 { stroke: #c04a00 } .m1 { fill: #c04a00 }
.c2 { stroke: #3a7a1a } .m2 { fill: #3a7a1a }
.c3 { stroke: #8a3ab0 } .m3 { fill: #8a3ab0 }
.c4 { stroke: #707070 } .m4 { fill: #707070 }
@media (prefers-color-scheme: dark) {
text { fill: #ddd }
.paper { fill: #16181c }
.major { stroke: #555 }
.minor { stroke: #2a2d33 }
.c0 { stroke: #6db6ff } .m0 { fill: #6db6ff }
.c1 { stroke: #ff9f5a } .m1 { fill: #ff9f5a }
.c2 { stroke: #93d66b } .m2 { fill: #93d66b }
.c3 { stroke: #d19bf0 } .m3 { fill: #d19bf0 }
.c4 { stroke: #a8a8a8 } .m4 { fill: #a8a8a8 }
}
</style>
<rect class="paper" width="{{.Width}}" height="{{.Height}}"/>
<text class="title" x="{{.Left}}" y="24">{{html .Title}}</text>
{{range .XTicks}}<path class="{{if .Minor}}minor{{else}}major{{end}}" d="M{{printf "%.1f" .At}} {{$.Top}}V{{$.Bottom}}"/>
{{end}}{{range .YTicks}}<path class="{{if .Minor}}minor{{else}}major{{end}}" d="M{{$.Left}} {{printf "%.1f" .At}}H{{$.Right}}"/>
{{end}}{{range .XTicks}}{{if .Label}}<text x="{{printf "%.1f" .At}}" y="{{$.Bottom}}" dy="18" text-anchor="middle">{{.Label}}</text>
{{end}}{{end}}{{range .YTicks}}{{if .Label}}<text x="{{$.Left}}" y="{{printf "%.1f" .At}}" dx="-8" dy="4" text-anchor="end">{{.Label}}</text>
{{end}}{{end}}<text x="{{.Right}}" y="{{.Height}}" dy="-14" text-anchor="end">{{html .XLabel}}</text>
<text transform="translate(18 {{.Top}}) rotate(-90)" text-anchor="end">{{html .YLabel}}</text>
{{range .Lines}}{{$class := .Class}}<path class="line c{{.Class}}" d="{{.Path}}"/>
{{range .Marks}}<path class="m{{$class}}" d="{{.}}"/>
{{end}}<path class="m{{.Class}}" d="{{.LabelMark}}"/>
<text x="{{printf "%.1f" .LabelX}}" y="{{printf "%.1f" .LabelY}}">{{html .Name}}</text>
{{end}}</svg>
`))
