// Command switchboard measures one switchboard, several, and what people would use instead, side by side in one run, on loopback:
// bytes and links a second, and the memory of many waiting sides. `make bench-switchboard` runs it and writes a table.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "fatal: %v\n", err)
		os.Exit(1)
	}
}

// bench is what the command line says.
type bench struct {
	bin     string
	mib     int // a transfer
	links   int // a round of links
	rounds  int
	waiting int // sides that wait at once

	house  *house
	report strings.Builder
}

func run(ctx context.Context) error {
	b := new(bench)
	out := flag.String("out", "bench", "where switchboard.md goes")
	flag.StringVar(&b.bin, "bin", "bin", "where the programs are")
	flag.IntVar(&b.mib, "mib", 256, "MiB a transfer")
	flag.IntVar(&b.links, "links", 120, "links a round")
	flag.IntVar(&b.rounds, "rounds", 5, "how often each thing is done, in turn; the table has medians")
	flag.IntVar(&b.waiting, "waiting", 10_000, "sides that wait at once")
	flag.Parse()
	var err error
	if b.house, err = newHouse(ctx, b.bin); err != nil {
		return err
	}
	defer b.house.close()
	load, _ := os.ReadFile("/proc/loadavg")
	fmt.Fprintf(&b.report, "%s; load before: %s\n", b.house.about(), strings.TrimSpace(string(load)))
	for _, step := range []func(context.Context) error{
		func(ctx context.Context) error { return b.measureBytes(ctx, "chacha20-poly1305@openssh.com") }, // what OpenSSH's client asks for first
		func(ctx context.Context) error { return b.measureBytes(ctx, "aes128-gcm@openssh.com") },
		b.measureLinks, b.measureWaiting,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	fmt.Print(b.report.String())
	if err := os.MkdirAll(*out, 0o777); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(*out, "switchboard.md"), []byte(b.report.String()), 0o666)
}

// way is one way of joining two people's ssh clients.
type way struct {
	name string
	join func(context.Context) (from io.WriteCloser, to io.ReadCloser, err error)
}

func (b *bench) ways() []way {
	h := b.house
	board := func(from, to int) func(context.Context) (io.WriteCloser, io.ReadCloser, error) {
		return func(ctx context.Context) (io.WriteCloser, io.ReadCloser, error) {
			return h.viaSwitchboard(ctx, from, to)
		}
	}
	return []way{
		{"one switchboard", board(0, 0)},
		{"across two switchboards", board(1, 2)},
		{"`sshd`, `socat` at both ends", h.viaSocat},
		{"`sshd`, `ssh -R` and `ssh -W`", h.viaForward},
	}
}

// measureBytes sends bytes through each way, in turn, with OpenSSH's client at both ends.
func (b *bench) measureBytes(ctx context.Context, cipher string) error {
	b.house.cipher = cipher
	ways := b.ways()
	took := make([][]float64, len(ways))
	for round := range b.rounds {
		for i, w := range ways {
			seconds, err := b.transfer(ctx, w)
			if err != nil {
				return fmt.Errorf("%s, round %d: %w", w.name, round+1, err)
			}
			took[i] = append(took[i], float64(b.mib)/seconds)
		}
	}
	fmt.Fprintf(&b.report, "\n| %d MiB, `ssh -c %s` at both ends | MiB a second | times `sshd` with `socat` | least to most |\n|---|--:|--:|--:|\n", b.mib, cipher)
	for i, w := range ways {
		fmt.Fprintf(&b.report, "| %s | %.0f | %.2f | %.0f to %.0f |\n", w.name, median(took[i]), median(took[i])/median(took[2]),
			slices.Min(took[i]), slices.Max(took[i]))
	}
	return nil
}

// transfer returns the seconds from the first byte that arrives to the last.
func (b *bench) transfer(ctx context.Context, w way) (float64, error) {
	from, to, err := w.join(ctx)
	if err != nil {
		return 0, err
	}
	defer to.Close()
	var pouring sync.WaitGroup
	var failed error
	pouring.Go(func() {
		block := make([]byte, 1<<20)
		for range b.mib {
			if _, failed = from.Write(block); failed != nil {
				return
			}
		}
		failed = from.Close()
	})
	if _, err := io.ReadFull(to, make([]byte, 1)); err != nil {
		return 0, err
	}
	began := time.Now()
	n, err := io.CopyN(io.Discard, to, int64(b.mib)<<20-1)
	seconds := time.Since(began).Seconds()
	if err != nil {
		return 0, fmt.Errorf("after %d bytes: %w", n, err)
	}
	pouring.Wait()
	return seconds, failed
}

// measureLinks has a few pairs at once make links one after the other, with a client that starts no process.
func (b *bench) measureLinks(ctx context.Context) error {
	const pairs = 8
	h := b.house
	kinds := []struct {
		name  string
		link  func(i int) error
		nodes []int
	}{
		{"one switchboard", func(int) error { return h.link(h.addrs[0], h.addrs[0]) }, []int{0}},
		{"across two switchboards", func(i int) error { return h.link(h.addrs[1+i%2], h.addrs[2-i%2]) }, []int{1, 2}},
		{"three switchboards, each pair at one", func(i int) error { return h.link(h.addrs[i%3], h.addrs[i%3]) }, []int{0, 1, 2}},
		{"three switchboards, at any two", func(i int) error { return h.link(h.addrs[i%3], h.addrs[i/3%3]) }, []int{0, 1, 2}},
		{"`sshd`, `socat` at both ends", func(int) error { return h.linkSocat() }, nil},
		{"`sshd`, `ssh -R` and `ssh -W`", func(int) error { return h.linkForward() }, nil},
	}
	rates, costs := make([][]float64, len(kinds)), make([][]float64, len(kinds))
	for range b.rounds {
		for k, kind := range kinds {
			cpu := func() (sum time.Duration) {
				for _, n := range kind.nodes {
					sum += cpuOf(h.nodes[n])
				}
				return sum
			}
			before, began := cpu(), time.Now()
			var wait sync.WaitGroup
			failures := make(chan error, pairs)
			for p := range pairs {
				wait.Go(func() {
					for i := p; i < b.links; i += pairs {
						if err := kind.link(i); err != nil {
							failures <- fmt.Errorf("%s, link %d: %w", kind.name, i, err)
							return
						}
					}
				})
			}
			wait.Wait()
			close(failures)
			if err := <-failures; err != nil {
				return err
			}
			rates[k] = append(rates[k], float64(b.links)/time.Since(began).Seconds())
			costs[k] = append(costs[k], float64((cpu()-before).Microseconds())/1000/float64(b.links))
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	fmt.Fprintf(&b.report, "\n| %d links a round, %d pairs at once | links a second | of one switchboard's | CPU ms a link, of the switchboards |\n|---|--:|--:|--:|\n", b.links, pairs)
	for k, kind := range kinds {
		cost := "–"
		if kind.nodes != nil {
			cost = fmt.Sprintf("%.1f", median(costs[k]))
		}
		fmt.Fprintf(&b.report, "| %s | %.0f | %.2f | %s |\n", kind.name, median(rates[k]), median(rates[k])/median(rates[0]), cost)
	}
	return nil
}

// measureWaiting has many sides wait at one node, and joins some of them.
func (b *bench) measureWaiting(ctx context.Context) error {
	h := b.house
	before, natsBefore, fdsBefore := rss(h.nodes[0]), rss(h.nats), descriptors(h.nodes[0])
	began := time.Now()
	sides := make([]*side, b.waiting)
	var wait sync.WaitGroup
	failures := make(chan error, 16)
	for p := range 16 {
		wait.Go(func() {
			for i := p; i < len(sides); i += 16 {
				var err error
				if sides[i], err = h.ask(h.addrs[0], "new"); err != nil {
					failures <- fmt.Errorf("side %d that waits: %w", i, err)
					return
				}
			}
		})
	}
	wait.Wait()
	close(failures)
	if err := <-failures; err != nil {
		return err
	}
	came := time.Since(began)
	after, natsAfter := rss(h.nodes[0]), rss(h.nats)
	const idle = 30 * time.Second // two rounds of keepalive requests
	used := cpuOf(h.nodes[0])
	select {
	case <-time.After(idle):
	case <-ctx.Done():
	}
	used = cpuOf(h.nodes[0]) - used
	var here, across []float64
	for i := range 40 {
		to, list := h.addrs[0], &here
		if i%2 == 1 {
			to, list = h.addrs[1], &across
		}
		began := time.Now()
		joined, err := h.ask(to, sides[i].line)
		if err != nil {
			return err
		}
		if joined.line != "switched" {
			return errors.New(joined.line)
		}
		*list = append(*list, time.Since(began).Seconds()*1000)
		joined.close()
	}
	fmt.Fprintf(&b.report, "\n| %d sides that wait at one of three nodes | |\n|---|--:|\n", b.waiting)
	fmt.Fprintf(&b.report, "| memory of the node (VmRSS), before and after | %d and %d MiB: %.1f KiB a side |\n", before>>20, after>>20, float64(after-before)/1024/float64(b.waiting))
	fmt.Fprintf(&b.report, "| memory of NATS, before and after | %d and %d MiB: %.2f KiB a side |\n", natsBefore>>20, natsAfter>>20, float64(natsAfter-natsBefore)/1024/float64(b.waiting))
	fmt.Fprintf(&b.report, "| descriptors of the node | %d and %d |\n", fdsBefore, descriptors(h.nodes[0]))
	fmt.Fprintf(&b.report, "| CPU of the node while they wait | %.2f s in %v |\n", used.Seconds(), idle)
	fmt.Fprintf(&b.report, "| to come, all of them | %.1f s |\n", came.Seconds())
	fmt.Fprintf(&b.report, "| to link one of them, from connecting to `switched`, at its node | median %.1f ms, most %.1f ms |\n", median(here), slices.Max(here))
	fmt.Fprintf(&b.report, "| the same, from another node | median %.1f ms, most %.1f ms |\n", median(across), slices.Max(across))
	for _, s := range sides {
		s.close()
	}
	return ctx.Err()
}

func median(of []float64) float64 {
	sorted := slices.Sorted(slices.Values(of))
	return sorted[len(sorted)/2]
}
