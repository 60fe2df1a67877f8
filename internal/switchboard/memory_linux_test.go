package switchboard

import (
	"cmp"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"aig/internal/gittest"
	"aig/internal/sshtest"
)

// hoarder is a kind of client that makes the switchboard hold as much as it
// can.
type hoarder struct {
	name  string
	sides int     // connections that each one opens
	short int     // how many there are in the short form
	long  int     // and in the long form
	most  float64 // MiB for each connection, in a process whose heap may be twice what is in use
	hoard func(t *testing.T, b *board, lasts time.Duration)
}

// pour sends data in packets of a size: as much as the window takes, or a little less than the backlog for which the connection
// would be cut.
func (r *raw) pour(size int, until time.Time) {
	r.net.SetWriteDeadline(until)
	n := min(2<<20, backlogBudget*9/10/(size+35)*size) / size
	for range n {
		if r.Queue(r.data(make([]byte, size)), sshtest.ChannelData) != nil {
			return
		}
	}
	r.Out.Flush()
}

// hoarders returns a hoarder for each place where something can lie: SSH's queues, its windows, what is being parsed, what waits to
// be sent.
func hoarders() []hoarder {
	commas := func(n int) []byte { return []byte(strings.Repeat(",", n)) }
	offer := func(r *raw, n int) {
		r.Lists[8] = commas(n)
		r.Send(r.Offer()[1:], sshtest.KexInit)
	}
	// link joins two raw clients that give each other hardly any window.
	link := func(t *testing.T, b *board) (*raw, *raw) {
		var sides []*raw
		command := "new"
		for range 2 {
			r := b.connected(t)
			r.openSession(100, 1<<15)
			r.request("exec", sshtest.Strings(command))
			command = r.line()
			sides = append(sides, r)
		}
		return sides[0], sides[1]
	}
	waits := func(size int) func(t *testing.T, b *board, lasts time.Duration) {
		return func(t *testing.T, b *board, lasts time.Duration) {
			r := b.execs(t, "new")
			r.line()
			r.pour(size, time.Now().Add(lasts))
		}
	}
	links := func(size int) func(t *testing.T, b *board, lasts time.Duration) {
		return func(t *testing.T, b *board, lasts time.Duration) {
			a, c := link(t, b)
			var wait sync.WaitGroup
			for _, r := range []*raw{a, c} {
				wait.Go(func() { r.pour(size, time.Now().Add(lasts)) })
			}
			wait.Wait()
		}
	}
	return []hoarder{
		{"half a handshake, an offer of 15,000 algorithms", 1, 20, 400, 0.75, func(t *testing.T, b *board, lasts time.Duration) {
			r := dialRaw(t, b.addr)
			r.versions()
			offer(r, 15_000)
		}},
		{"no command, an offer of 11,000 algorithms", 1, 20, 400, 0.75, func(t *testing.T, b *board, lasts time.Duration) {
			offer(b.connected(t), 11_000)
		}},
		{"waits and pours", 1, 4, 48, 6, waits(32 << 10)},
		{"waits and pours byte by byte", 1, 2, 48, 6, waits(1)},
		{"a link whose sides pour and don't read", 2, 2, 24, 6, links(32 << 10)},
		{"the same, byte by byte", 2, 1, 24, 6, links(1)},
		{"a link whose one side reads no answers", 2, 2, 24, 6, func(t *testing.T, b *board, lasts time.Duration) {
			a := b.connected(t)
			a.openSession(1<<31, 1<<15)
			a.request("exec", sshtest.Strings("new"))
			c := b.join(t, a.line())
			end := time.Now().Add(lasts)
			c.net.SetDeadline(end)
			var wait sync.WaitGroup
			wait.Go(func() { io.Copy(c.ch, zeros{}) })
			time.Sleep(lasts / 3) // until a's connection takes no answers any more; sooner is no failure, only a smaller load
			large := strings.Repeat("x", 34_000)
			a.net.SetWriteDeadline(end)
			for range 18 {
				a.Queue(append(sshtest.Strings(large), 1), sshtest.GlobalRequest)
				a.Queue(append(sshtest.Strings(large), make([]byte, 12)...), sshtest.ChannelOpen)
				a.Queue(a.onChannel(append(append(sshtest.Strings("env"), 1), large...)...), sshtest.ChannelRequest)
			}
			for range 18 {
				a.Queue(sshtest.Strings(large), sshtest.Ping)
			}
			offer(a, 34_000)
			wait.Wait()
		}},
	}
}

// What clients can make the switchboard hold is bounded for each of them, see DefaultOptions, and so it is when they have taken
// every default place.
func TestTortureMemory(t *testing.T) {
	if !gittest.Torture { // whose table says what each test takes by itself
		t.Parallel()
	}
	all, bin := hoarders(), buildProgram(t)
	for _, h := range all {
		t.Run(h.name, func(t *testing.T) {
			t.Parallel() // they wait, most of the time
			n := gittest.Rounds(h.short, h.long)
			used := memory(t, bin, map[*hoarder]int{&h: n})
			each := used / float64(n*h.sides)
			gittest.Figures(t, "connections, memory of each: "+h.name, n*h.sides, "%.1f MiB", each)
			most := h.most
			if !gittest.Torture {
				most += 16 / float64(n*h.sides) // the program's own memory is shared by few
			}
			if each > most {
				t.Errorf("%.1f MiB each", each)
			}
		})
	}
	if !gittest.Torture {
		return // the same at its full size, which takes gigabytes
	}
	t.Run("every place", func(t *testing.T) {
		t.Parallel()
		o := DefaultOptions()
		half, waiting, linked := &all[0], &all[3], &all[5]
		places := map[*hoarder]int{waiting: o.MaxWaiting, linked: o.MaxLinks}
		places[half] = o.MaxConnections - o.MaxWaiting - 2*o.MaxLinks
		bound := 0.0
		for h, n := range places {
			bound += float64(n*h.sides) * h.most
		}
		used := memory(t, bin, places)
		gittest.Figures(t, "connections, memory of all, in every place that there is", o.MaxConnections,
			"%.0f MiB of %.0f", used, bound)
		if used > bound {
			t.Errorf("%.0f MiB", used)
		}
	})
}

// memory lets so many of each kind hoard at one switchboard, and returns by
// how many MiB its process has grown.
func memory(t *testing.T, bin string, kinds map[*hoarder]int) float64 {
	t.Helper()
	p := startProgram(t, bin, gittest.Rounds(500, 2000),
		"--handshake-time", "10m", "--command-time", "10m", "--keepalive-time", "10m", "--grace", "0s", "--control-time", "5s")
	lasts := time.Duration(gittest.Rounds(3, 20)) * time.Second
	a, c := p.link(t)
	a.write("ping")
	c.read("ping")
	a.conn.Close()
	c.conn.Close()
	before := p.peak(t)
	late := time.After(lasts)
	var wait sync.WaitGroup
	// Those who don't get far begin last: nobody has to make room for them.
	order := slices.SortedFunc(maps.Keys(kinds), func(a, b *hoarder) int { return cmp.Compare(b.most, a.most) })
	for _, h := range order {
		for range kinds[h] {
			wait.Go(func() { h.hoard(t, p.board, lasts) })
		}
		if h.most > 1 {
			wait.Wait()
		}
	}
	wait.Wait()
	<-late // what was sent last has been handled by then
	grown := p.peak(t) - before
	if counts := p.finish(t); counts[flooding]+counts[tooManyConnections] > 0 {
		t.Errorf("some have lost what they held: %v", counts)
	}
	return grown
}
