package intake

import (
	"bufio"
	"errors"
	"fmt"
	"iter"
	"os"
	"strconv"
	"strings"
)

// Names goes through the names of the objects of a finished pack, ascending, appended delta bases among them. A name is
// valid until the next one. The error that may come last is about the pack (OfPeer) or this side.
func (in *Incoming) Names() iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		whole, came, all := true, uint32(0), uint32(0)
		err := in.eachEntry(func(name []byte, appended bool) bool {
			all++
			if !appended {
				came++
			}
			whole = yield(name, nil)
			return whole
		})
		if err == nil && whole {
			err = in.checkEnd(came, all)
		}
		if err != nil && whole {
			yield(nil, in.why(err))
		}
	}
}

// checkEnd finds what came behind the end of the pack, by where its objects lie: came of them before the end of what was
// written, all with those that git appended from there on.
func (in *Incoming) checkEnd(came, all uint32) error {
	if came == in.Objects() && all == came {
		file, err := os.Stat(in.pack + ".pack")
		if err != nil || file.Size() == in.written {
			return err
		}
	} else if came == in.Objects() {
		return nil
	}
	return &PackError{behindTheEnd}
}

// eachEntry goes through the index of a finished pack. An appended object is one that git has added at the end, in the
// place of the checksum (gitformat-pack(5)) with which the pack had ended.
func (in *Incoming) eachEntry(yield func(name []byte, appended bool) bool) error {
	idx, err := os.Open(in.pack + ".idx")
	if err != nil {
		return err
	}
	defer idx.Close()
	format := in.store.Format
	c := in.store.Command(in.ctx, nil, "show-index", "--object-format="+string(format))
	c.Stdin = idx
	out, err := c.StdoutPipe()
	if err != nil {
		return err
	}
	if err := c.Start(); err != nil {
		return err
	}
	end := uint64(in.written) - uint64(format.Size())
	lines := bufio.NewScanner(out)
	name := make([]byte, format.Size())
	for lines.Scan() {
		fields := strings.Fields(lines.Text()) // offset, name, checksum
		var offset uint64
		if len(fields) < 2 {
			err = fmt.Errorf("git show-index said %q", lines.Text())
		} else if offset, err = strconv.ParseUint(fields[0], 10, 63); err == nil {
			err = format.Parse(name, []byte(fields[1]))
		}
		if err != nil || !yield(name, offset >= end) {
			out.Close()
			c.Wait() // it died of the pipe that was closed on it
			return err
		}
	}
	return errors.Join(lines.Err(), c.Wait())
}
