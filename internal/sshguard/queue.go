// Package sshguard works around a bug of golang.org/x/crypto/ssh (v0.59.0) by which the other side can block goroutines for ever
// ([Drain]), and leaves out algorithms that strangers could abuse ([Config]).
package sshguard

import (
	"reflect"
	"unsafe"

	"golang.org/x/crypto/ssh"
)

// queueOf returns a connection's queue of packets, or nil if it isn't where we look for it. The reader closes the queue when it
// ends.
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

// Drain empties the queue of a failed connection until its reader ends. conn is an [ssh.Conn] or [ssh.ServerPreAuthConn] made by
// x/crypto, or nil. The pipe below it must be closed, or about to be closed, and nobody else may want its packets.
//
// x/crypto's reader queues up to 16 packets. If a packet makes the connection fail while more than that have been read behind it,
// nobody takes from the queue any more: the reader blocks for ever, with all its buffers, and so does whoever closes the connection
// or waits for its end (v0.59.0). Only unexported fields lead to the queue.
func Drain(conn any) {
	queue := queueOf(conn)
	if queue == nil {
		return
	}
	for range queue {
	}
}
