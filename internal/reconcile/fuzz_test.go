package reconcile

import (
	"encoding/binary"
	"testing"
)

// FuzzLists: whatever list a peer sends, in whatever batches, the result is an error or a consistent difference, and nothing
// more is accepted after either.
func FuzzLists(f *testing.F) {
	own := NewSet(Key{1}, 20, testNames(1, 0, 10))
	var honest []byte
	for i := range 6 {
		honest = binary.BigEndian.AppendUint64(honest, own.short[i])
	}
	honest = append(honest, "an elementanother."...)
	f.Add(uint16(8), honest[:64], uint8(2))
	f.Add(uint16(3), append(honest[:16:16], honest[:8]...), uint8(0))
	f.Add(uint16(2), []byte("same ---same ---"), uint8(7))
	f.Add(uint16(1), []byte("short"), uint8(1))
	f.Fuzz(func(t *testing.T, peerLen uint16, list []byte, batch uint8) {
		x := NewExchange(own, int(peerLen), false)
		if x.mode != List {
			return // FuzzReceive tests symbols
		}
		size := (int(batch) + 1) * ShortSize
		for rest := list; len(rest) > 0; {
			n := min(size, len(rest))
			err := x.Receive(List, rest[:n])
			rest = rest[n:]
			if err == nil && !x.Done() {
				continue
			}
			if err == nil && len(x.Mine())+int(peerLen) != own.Len()+len(x.Theirs()) {
				t.Errorf("%d names here and %d there, and the difference is %d and %d", own.Len(), peerLen, len(x.Mine()), len(x.Theirs()))
			}
			if x.Receive(List, []byte("one more")) == nil {
				t.Errorf("more was taken after %v", err)
			}
			return
		}
	})
}
