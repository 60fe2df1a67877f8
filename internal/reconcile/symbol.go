package reconcile

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// A cell is a coded symbol without its count: the XOR of the short names of its elements, and the XOR of their check hashes.
type cell struct{ sum, check uint64 }

func (c *cell) xor(sum, check uint64) {
	c.sum ^= sum
	c.check ^= check
}

func (c *cell) isZero() bool { return c.sum|c.check == 0 }

// A firstBlock holds symbols 0 to FirstBlock-1, which have counts, and the XOR of the digests of all names.
type firstBlock struct {
	cells  [FirstBlock]cell
	counts [FirstBlock]uint16
	digest uint64
}

func (f *firstBlock) add(key *Key, name []byte) (short uint64) {
	short, digest := key.Hash(name)
	check := key.check(short)
	// The walk through the first block, which ends at symbol 0, is inlined: a run with nothing to do spends its time here.
	state := short
	for i := uint64(FirstBlock); i > 0; {
		state += golden
		i = below(i, mix64(state))
		f.cells[i].xor(short, check)
		f.counts[i]++
	}
	f.digest ^= digest
	return short
}

func (f *firstBlock) merge(g *firstBlock) {
	for i := range f.cells {
		f.cells[i].xor(g.cells[i].sum, g.cells[i].check)
		f.counts[i] += g.counts[i]
	}
	f.digest ^= g.digest
}

// encode makes the symbols of a block in one pass over the set on all cores, each of which XORs into its own copy of the block.
// The result does not depend on which core did what.
func (s *Set) encode(b block) []cell {
	if b.number == 0 {
		return append([]cell(nil), s.first.cells[:]...)
	}
	size := int(b.high - b.low)
	const part = 1 << 16 // short names in a task
	sketches := inParallel((len(s.short)+part-1)/part, size*SymbolSize, func() []cell { return make([]cell, size) },
		func(cells []cell, task int) {
			for _, short := range s.short[task*part : min((task+1)*part, len(s.short))] {
				encodeInto(cells, &s.key, b, short)
			}
		})
	if len(sketches) == 0 {
		return make([]cell, size)
	}
	for _, sketch := range sketches[1:] {
		for i := range sketch {
			sketches[0][i].xor(sketch[i].sum, sketch[i].check)
		}
	}
	return sketches[0]
}

// encodeInto XORs one element into a block. In later blocks most elements belong to no symbol, so their check hash isn't
// computed.
func encodeInto(cells []cell, key *Key, b block, short uint64) {
	w := startWalk(short, b)
	i, ok := w.next()
	if !ok {
		return
	}
	check := key.check(short)
	for ; ok; i, ok = w.next() {
		cells[i-b.low].xor(short, check)
	}
}

// scratchLimit bounds the memory of all accumulators of one pass, in bytes.
const scratchLimit = 16 << 20

// inParallel runs tasks 0 to tasks-1 on all cores, and returns when all are done. Each core has an accumulator of its own, of
// size bytes; the caller combines those that are returned. If the accumulators of all cores would take too much memory, it
// uses fewer cores.
func inParallel[T any](tasks, size int, newAcc func() T, do func(acc T, task int)) []T {
	cores := min(runtime.GOMAXPROCS(0), tasks)
	if size > 0 {
		cores = min(cores, max(1, scratchLimit/size))
	}
	accs := make([]T, cores)
	var next atomic.Int64
	var wg sync.WaitGroup
	for c := range cores {
		accs[c] = newAcc()
		wg.Go(func() {
			for t := next.Add(1) - 1; t < int64(tasks); t = next.Add(1) - 1 {
				do(accs[c], int(t))
			}
		})
	}
	wg.Wait()
	return accs
}
