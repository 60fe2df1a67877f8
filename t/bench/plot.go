package main

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/plotutil"
	"gonum.org/v1/plot/vg"
)

// recorded is one point of one line of the plots: what is kept of a run, so that the plots can be redrawn.
type recorded struct {
	sweep, title, axis string
	at                 int // objects
	tool               string
	seconds            float64
	bytes              int64 // through the pipe, both ways
}

// record returns the points of the sweeps.
func record(sweeps []sweep) []recorded {
	var points []recorded
	for _, s := range sweeps {
		for _, p := range s.points {
			for _, r := range p.result.rows {
				to, from := r.bytes()
				points = append(points, recorded{s.name, s.title, s.axis, p.at, r.tool, r.wall().Seconds(), to + from})
			}
		}
	}
	return points
}

// plotsFile is the name of the file that keeps the points, beside the plots.
const plotsFile = "plots.csv"

var plotsHead = []string{"plot", "title", "axis", "objects", "tool", "seconds", "bytes"}

// writePlots keeps the points in a directory and draws them there.
func writePlots(dir string, points []recorded) error {
	if len(points) == 0 {
		return nil
	}
	f, err := os.Create(filepath.Join(dir, plotsFile))
	if err != nil {
		return err
	}
	defer f.Close()
	w := csv.NewWriter(f)
	w.Write(plotsHead)
	for _, p := range points {
		w.Write([]string{p.sweep, p.title, p.axis, strconv.Itoa(p.at), p.tool,
			strconv.FormatFloat(p.seconds, 'g', 4, 64), strconv.FormatInt(p.bytes, 10)})
	}
	w.Flush()
	if err := errors.Join(w.Error(), f.Close()); err != nil {
		return err
	}
	return drawPlots(dir, points)
}

// redrawPlots draws the points that are kept in a directory.
func redrawPlots(dir string) error {
	f, err := os.Open(filepath.Join(dir, plotsFile))
	if err != nil {
		return err
	}
	defer f.Close()
	points, err := readPoints(f)
	if err != nil {
		return fmt.Errorf("%s: %w", f.Name(), err)
	}
	return drawPlots(dir, points)
}

func readPoints(r io.Reader) ([]recorded, error) {
	in := csv.NewReader(r)
	in.FieldsPerRecord = len(plotsHead)
	lines, err := in.ReadAll()
	if err != nil {
		return nil, err
	}
	var points []recorded
	for i, line := range lines {
		if i == 0 {
			continue
		}
		at, err1 := strconv.Atoi(line[3])
		seconds, err2 := strconv.ParseFloat(line[5], 64)
		bytes, err3 := strconv.ParseInt(line[6], 10, 64)
		if err := errors.Join(err1, err2, err3); err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
		points = append(points, recorded{line[0], line[1], line[2], at, line[4], seconds, bytes})
	}
	return points, nil
}

// drawPlots draws bytes and time of each sweep, as SVG files.
func drawPlots(dir string, points []recorded) error {
	var sweeps []string
	of := make(map[string][]recorded)
	for _, p := range points {
		if of[p.sweep] == nil {
			sweeps = append(sweeps, p.sweep)
		}
		of[p.sweep] = append(of[p.sweep], p)
	}
	for _, name := range sweeps {
		err := errors.Join(
			drawPlot(filepath.Join(dir, "seconds-"+name+".svg"), "seconds", of[name], func(p recorded) float64 { return p.seconds }),
			drawPlot(filepath.Join(dir, "bytes-"+name+".svg"), "bytes through the pipe, both ways", of[name],
				func(p recorded) float64 { return float64(p.bytes) }))
		if err != nil {
			return err
		}
	}
	return nil
}

// drawPlot draws a line for each tool, both axes logarithmic.
func drawPlot(file, label string, points []recorded, value func(recorded) float64) error {
	var lines []any // name, points, name, points: as plotutil takes them
	at := make(map[string]int)
	for _, p := range points {
		if p.at <= 0 || value(p) <= 0 {
			return fmt.Errorf("%s: %s has %g at %d, which has no place on logarithmic axes", file, p.tool, value(p), p.at)
		}
		i, known := at[p.tool]
		if !known {
			i = len(lines) + 1
			at[p.tool] = i
			lines = append(lines, p.tool, plotter.XYs{})
		}
		lines[i] = append(lines[i].(plotter.XYs), plotter.XY{X: float64(p.at), Y: value(p)})
	}
	plot.DefaultFont = font.Font{Typeface: "Liberation", Variant: "Sans"}
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = points[0].title, points[0].axis, label
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		axis.Scale, axis.Tick.Marker, axis.AutoRescale = plot.LogScale{}, plot.LogTicks{Prec: -1}, true
	}
	p.Add(plotter.NewGrid())
	if err := plotutil.AddLinePoints(p, lines...); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	p.Legend.Top, p.Legend.Left = true, true
	return p.Save(20*vg.Centimeter, 12*vg.Centimeter, file)
}
