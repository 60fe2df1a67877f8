package sshguard

import (
	"crypto/ed25519"
	"crypto/rand"
	"net"
	"os"
	"testing"

	"golang.org/x/crypto/ssh"

	"aig/internal/gittest"
	"aig/internal/sshtest"
)

func TestMain(m *testing.M) { os.Exit(gittest.Main(m)) }

// The queue of a connection is found before and after authentication, on either side; and a connection that failed with a full
// queue ends once that is drained.
func TestDrain(t *testing.T) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	failed := make(chan struct{}, 2) // a connection has; until then, the packets in its queue are SSH's
	serve := func() (*ssh.ServerConn, <-chan []byte) {
		under, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		var queue <-chan []byte
		config := &ssh.ServerConfig{NoClientAuth: true, PreAuthConnCallback: func(conn ssh.ServerPreAuthConn) { queue = queueOf(conn) }}
		config.AddHostKey(key)
		conn, chans, reqs, err := ssh.NewServerConn(under, config)
		if err != nil {
			t.Fatal(err)
		}
		go ssh.DiscardRequests(reqs)
		go func() {
			for range chans {
			}
			failed <- struct{}{}
		}()
		return conn, queue
	}

	under, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer under.Close()
	done := make(chan bool)
	go func() {
		client := sshtest.New(under)
		err := client.Connect(nil)
		client.Queue([]byte{0}, sshtest.ChannelData) // a truncated message
		for range 200 {
			client.Queue(nil, sshtest.Ping)
		}
		client.Out.Flush()
		done <- err == nil
	}()
	conn, queue := serve()
	if !<-done {
		t.Fatal("no connection")
	}
	if queue == nil || queue != queueOf(conn) {
		t.Error("the server's queue was not found")
	}
	<-failed
	Drain(conn)
	if err := conn.Wait(); err == nil {
		t.Error("the connection has not failed")
	}

	under, err = net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	go func() { conn, _ := serve(); conn.Close(); done <- true }()
	client, chans, reqs, err := ssh.NewClientConn(under, "", &ssh.ClientConfig{HostKeyCallback: ssh.FixedHostKey(key.PublicKey())})
	if err != nil {
		t.Fatal(err)
	}
	go ssh.DiscardRequests(reqs)
	if queue = queueOf(client); queue == nil {
		t.Error("the client's queue was not found")
	}
	<-done
	for range chans {
	}
	Drain(client)
	client.Wait()

	for _, other := range []any{nil, 1, &struct{ transport int }{}, &struct{ transport *struct{ incoming int } }{}} {
		if queueOf(other) != nil {
			t.Errorf("a queue of %T", other)
		}
	}
}
