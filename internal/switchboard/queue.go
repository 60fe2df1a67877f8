package switchboard

import (
	"reflect"
	"unsafe"

	"golang.org/x/crypto/ssh"
)

// packetQueue returns the queue into which x/crypto's reader of a connection
// puts the packets, or nil if there is no such thing.
//
// The queue has room for 16. When a connection fails for what one packet says
// while more than that have been read behind it, nobody takes from the queue
// any more, the reader waits for ever, with all its buffers, and so does
// whoever closes the connection (v0.58.0). So whoever serves a connection
// empties the queue in the end, until the reader closes it; and there is no
// other way to it than this. The test of it fails if there is none any more.
func packetQueue(conn ssh.ServerPreAuthConn) <-chan []byte {
	v := reflect.ValueOf(conn)
	for _, name := range []string{"transport", "incoming"} {
		if v.Kind() == reflect.Interface {
			v = v.Elem()
		}
		if v.Kind() != reflect.Pointer || v.Elem().Kind() != reflect.Struct {
			return nil
		}
		v = v.Elem().FieldByName(name)
	}
	if !v.IsValid() || v.Type() != reflect.TypeFor[chan []byte]() {
		return nil
	}
	return *(*chan []byte)(unsafe.Pointer(v.UnsafeAddr()))
}
