// Package sshguard guards against two faults of golang.org/x/crypto/ssh (v0.58.0) that whoever is on the other side can use.
// One ends the process ([FirstKeys]), the other never ends ([Drain]). [Config] leaves out what strangers could use in algorithms.
package sshguard

import (
	"reflect"
	"unsafe"

	"golang.org/x/crypto/ssh"
)

// queueOf returns the queue of packets of a connection, or nil if it has none where it is looked for. The reader closes it at
// its end.
func queueOf(conn any) <-chan []byte {
	if server, ok := conn.(*ssh.ServerConn); ok {
		conn = server.Conn
	}
	v := reflect.ValueOf(conn)
	for _, name := range []string{"transport", "incoming"} {
		if v.Kind() == reflect.Interface {
			v = v.Elem()
		}
		if v.Kind() != reflect.Pointer || v.IsNil() || v.Elem().Kind() != reflect.Struct {
			return nil
		}
		v = v.Elem().FieldByName(name)
	}
	if !v.IsValid() || v.Type() != reflect.TypeFor[chan []byte]() {
		return nil
	}
	return *(*chan []byte)(unsafe.Pointer(v.UnsafeAddr()))
}

// Drain takes whatever is in the queue of a connection that has failed until its reader has ended: of an [ssh.Conn] or an
// [ssh.ServerPreAuthConn] of x/crypto's own, or of none, which is nil. The pipe below the connection has to be closed, or
// about to be closed, and nobody else may be interested in its packets.
//
// What x/crypto's reader of a connection has read waits in a queue with room for 16 packets. When the connection fails for
// what one packet says while more than that have been read behind it, nobody takes from the queue any more: the reader waits
// for ever, with all its buffers, and so does whoever closes the connection or waits for its end (v0.58.0). There is no other
// way to the queue than through fields that are not exported.
func Drain(conn any) {
	queue := queueOf(conn)
	if queue == nil {
		return
	}
	for range queue {
	}
}
