// Command record animates a session: it reads what `make demo` prints and writes an SVG of two terminals side by side that plays in a
// browser without a script, in light and dark.
package main

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/xml"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
)

func main() {
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "fatal:", err)
		os.Exit(1)
	}
}

func run(r io.Reader, w io.Writer) error {
	scenes, err := parse(r)
	if err != nil {
		return err
	}
	_, err = w.Write(draw(scenes))
	return err
}

// scene is a caption and what happens below it, until the screens are cleared for the next one.
type scene struct {
	caption string
	steps   []step
}

func (s scene) lines() int {
	n := len(s.steps)
	for _, step := range s.steps {
		n += len(step.output)
	}
	return n
}

// step is a command that somebody types, and what it prints.
type step struct {
	who     string
	command string
	output  []string
}

var prompt = regexp.MustCompile(`^(\w+)\$ (.*)$`)

// parse reads the demo's format: "# caption", "who$ command", lines of output. The last caption may stand alone.
func parse(r io.Reader) ([]scene, error) {
	var scenes []scene
	for lines := bufio.NewScanner(r); ; {
		if !lines.Scan() {
			if len(scenes) == 0 {
				return nil, cmp.Or(lines.Err(), io.ErrUnexpectedEOF)
			}
			return scenes, lines.Err()
		}
		line := lines.Text()
		if caption, ok := strings.CutPrefix(line, "# "); ok {
			scenes = append(scenes, scene{caption: caption})
			continue
		}
		if len(scenes) == 0 || line == "" {
			continue
		}
		steps := &scenes[len(scenes)-1].steps
		if m := prompt.FindStringSubmatch(line); m != nil {
			*steps = append(*steps, step{who: m[1], command: m[2]})
		} else if n := len(*steps); n > 0 {
			(*steps)[n-1].output = append((*steps)[n-1].output, line)
		}
	}
}

const (
	columns = 64 // of a terminal
	advance = 7.25
	leading = 17
	margin  = 14
	width   = columns*advance + 2*margin
	gap     = 16
	top     = 76 // of the first line of a terminal

	reading = 3.5 // seconds for which a scene stays at its end
	pause   = 0.5 // between commands
	typing  = 0.9 // of a command
)

// shown is a piece of text with its place and time.
type shown struct {
	pane, row  int
	text       string
	class      string
	start, end float64
	still      bool // shown also where reduced motion is preferred
}

// draw lays everything out in space and time.
func draw(scenes []scene) []byte {
	var all []shown
	now, rows := 0.0, 0
	still := 0 // the scene with the most lines
	for i, s := range scenes {
		if s.lines() > scenes[still].lines() {
			still = i
		}
	}
	for i, s := range scenes {
		first := len(all)
		all = append(all, shown{pane: -1, text: s.caption, class: "caption", start: now})
		now += pause
		var row [2]int
		put := func(pane int, text, class string) {
			for _, line := range wrap(text) {
				all = append(all, shown{pane: pane, row: row[pane], text: line, class: class, start: now})
				row[pane]++
			}
		}
		steps := s.steps
		for len(steps) > 0 {
			one := steps[0]
			pane := paneOf(one.who)
			put(pane, one.who+"$ "+one.command, "command")
			now += typing
			// A side that waits for the other prints only what it says while waiting, until the other has come.
			early, late := one.output, []string(nil)
			if len(steps) > 1 && steps[1].who != one.who && strings.Contains(one.command, "aig-sync") {
				for n, line := range one.output {
					if strings.HasPrefix(line, "transport: ") || strings.HasPrefix(line, "tell ") || strings.HasPrefix(line, "waiting ") {
						early, late = one.output[:n+1], one.output[n+1:]
					}
				}
			}
			for _, line := range early {
				put(pane, line, classOf(line))
			}
			now += pause
			if late != nil {
				steps = steps[1:]
				other := steps[0]
				put(paneOf(other.who), other.who+"$ "+other.command, "command")
				now += typing
				for n := range max(len(late), len(other.output)) {
					if n < len(late) {
						put(pane, late[n], classOf(late[n]))
					}
					if n < len(other.output) {
						put(paneOf(other.who), other.output[n], classOf(other.output[n]))
					}
					now += 0.06
				}
				now += pause
			}
			steps = steps[1:]
		}
		now += reading
		for n := range all[first:] {
			all[first+n].end, all[first+n].still = now, i == still
		}
		rows = max(rows, row[0], row[1])
	}
	return render(all, rows, now)
}

func paneOf(who string) int {
	if who == "bob" {
		return 1
	}
	return 0
}

// classOf says how a line of output looks.
func classOf(line string) string {
	switch {
	case line == ".":
		return "promise"
	case strings.HasPrefix(line, "> "):
		return "sent"
	case strings.HasPrefix(line, "< "):
		return "received"
	}
	return "plain"
}

// wrap cuts a line as a terminal would.
func wrap(line string) []string {
	var lines []string
	for rest := []rune(line); ; rest = rest[columns:] {
		if len(rest) <= columns {
			return append(lines, string(rest))
		}
		lines = append(lines, string(rest[:columns]))
	}
}

const style = `
svg{--page:#fff;--box:#f6f8fa;--line:#d0d7de;--text:#1f2328;--dim:#656d76;--sent:#0550ae;--received:#116329;--promise:#8250df}
@media(prefers-color-scheme:dark){svg{--page:#0d1117;--box:#161b22;--line:#30363d;--text:#e6edf3;--dim:#848d97;--sent:#79c0ff;--received:#7ee787;--promise:#d2a8ff}}
text{font:12px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;fill:var(--text);white-space:pre}
.page{fill:var(--page)}.box{fill:var(--box);stroke:var(--line)}.dot{fill:var(--line)}
.title,.plain{fill:var(--dim)}.title{text-anchor:middle}.caption{font-size:14px;font-weight:600}
.sent{fill:var(--sent)}.received{fill:var(--received)}.promise{fill:var(--promise);font-weight:600}
.t{visibility:hidden}.still{visibility:visible}
@media(prefers-reduced-motion:reduce){.t{animation:none!important}}
`

func render(all []shown, rows int, total float64) []byte {
	height := top + rows*leading + margin
	var styles, body bytes.Buffer
	times := make(map[string]string)
	class := func(s shown) string {
		key := fmt.Sprintf("%.2f%%,%.2f%%", 100*s.start/total, 100*s.end/total)
		name, ok := times[key]
		if !ok {
			name = fmt.Sprintf("k%d", len(times))
			times[key] = name
			from, until, _ := strings.Cut(key, ",")
			fmt.Fprintf(&styles, "@keyframes %s{0%%{visibility:hidden}%s{visibility:visible}%s,to{visibility:hidden}}.%s{animation:%s %.1fs step-end infinite}\n",
				name, from, until, name, name, total)
		}
		return name
	}
	for _, s := range all {
		x, y := float64(margin), 26.0
		if s.pane >= 0 {
			x, y = margin+float64(s.pane)*(width+gap), float64(top+(s.row+1)*leading-leading/3)
		}
		classes := s.class + " t " + class(s)
		if s.still {
			classes += " still"
		}
		fmt.Fprintf(&body, `<text class="%s" x="%.1f" y="%.1f">`, classes, x, y)
		_ = xml.EscapeText(&body, []byte(s.text)) // a buffer takes everything
		body.WriteString("</text>\n")
	}
	whole := 2*width + gap
	var out bytes.Buffer
	fmt.Fprintf(&out, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %d\" role=\"img\" aria-label=\"Two people synchronise their repositories\">\n", whole, height)
	fmt.Fprintf(&out, "<style>%s%s</style>\n<rect class=\"page\" width=\"100%%\" height=\"100%%\"/>\n", style, styles.Bytes())
	for pane, title := range []string{"Alice", "Bob"} {
		x := 0.5 + float64(pane)*(width+gap)
		fmt.Fprintf(&out, "<rect class=\"box\" x=\"%.1f\" y=\"40.5\" width=\"%.1f\" height=\"%d\" rx=\"8\"/>\n", x, width-1, height-41)
		for n := range 3 {
			fmt.Fprintf(&out, "<circle class=\"dot\" cx=\"%.1f\" cy=\"56\" r=\"4.5\"/>\n", x+16+float64(n)*15)
		}
		fmt.Fprintf(&out, "<text class=\"title\" x=\"%.1f\" y=\"60\">%s</text>\n", x+width/2, title)
	}
	out.Write(body.Bytes())
	out.WriteString("</svg>\n")
	return out.Bytes()
}
