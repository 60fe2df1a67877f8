// Command aig-test-nats is a NATS server on loopback for demonstrations and benchmarks. It prints its URL, and runs until its
// standard input ends or it is interrupted.
package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

func main() {
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoLog: true})
	if err == nil {
		s.Start() // it also ends the process at an interrupt
		if !s.ReadyForConnections(10 * time.Second) {
			err = fmt.Errorf("it does not start")
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "fatal: the NATS server:", err)
		os.Exit(128)
	}
	fmt.Println(s.ClientURL())
	io.Copy(io.Discard, os.Stdin)
	s.Shutdown()
}
