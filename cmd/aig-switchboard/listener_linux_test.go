package main

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The test binary runs as the switchboard if the environment says so.
func TestMain(m *testing.M) {
	if os.Getenv("AIG_TEST_SWITCHBOARD") != "" {
		main()
	}
	os.Exit(m.Run())
}

// A socket passed by systemd is served. LISTEN_PID must be the switchboard's own process ID, hence the shell.
func TestSocketOfSystemd(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	socket, err := ln.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	address := ln.Addr().String()
	ln.Close()
	defer socket.Close()
	for _, c := range []struct{ sockets, says string }{
		{"2", `fatal: systemd passed 2 sockets: exactly one`},
		{"1", "addr=" + address},
	} {
		cmd := exec.Command("sh", "-c", `LISTEN_PID=$$ exec "$0" "$@"`, os.Args[0], "--host-key", filepath.Join(t.TempDir(), "key"), "--listen", "127.0.0.1:0")
		cmd.Env = append(os.Environ(), "AIG_TEST_SWITCHBOARD=1", "LISTEN_FDS="+c.sockets)
		cmd.ExtraFiles = []*os.File{socket}
		log, err := cmd.StderrPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		line, _ := bufio.NewReader(log).ReadString('\n')
		if !strings.Contains(line, c.says) {
			t.Errorf("with %s sockets: %q", c.sockets, line)
			cmd.Process.Kill()
		} else if c.sockets == "1" {
			conn, err := net.DialTimeout("tcp", address, 10*time.Second)
			if err != nil {
				t.Fatal(err)
			}
			conn.SetDeadline(time.Now().Add(10 * time.Second))
			if banner, err := bufio.NewReader(conn).ReadString('\n'); !strings.HasPrefix(banner, "SSH-2.0-") {
				t.Errorf("the socket says %q (%v)", banner, err)
			}
			conn.Close()
			cmd.Process.Signal(os.Interrupt)
		}
		cmd.Wait()
	}
}

// Whoever started the switchboard is told when it is ready.
func TestReadyIsSaid(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	cmd := exec.Command(os.Args[0], "--host-key", filepath.Join(t.TempDir(), "key"), "--listen", "127.0.0.1:0")
	cmd.Env = append(os.Environ(), "AIG_TEST_SWITCHBOARD=1", "NOTIFY_SOCKET="+path)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	socket.SetDeadline(time.Now().Add(30 * time.Second))
	said := make([]byte, 100)
	if n, err := socket.Read(said); err != nil || string(said[:n]) != "READY=1" {
		t.Errorf("%q, %v", said[:n], err)
	}
	cmd.Process.Signal(os.Interrupt)
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

// A real switchboard counts a real client.
func TestMetricsAreServed(t *testing.T) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	free.Close()
	cmd := exec.Command(os.Args[0], "--host-key", filepath.Join(t.TempDir(), "key"), "--listen", "127.0.0.1:0", "--metrics", address)
	cmd.Env = append(os.Environ(), "AIG_TEST_SWITCHBOARD=1")
	log, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, _ := bufio.NewReader(log).ReadString('\n')
	_, rest, _ := strings.Cut(line, "addr=")
	serving, _, _ := strings.Cut(rest, " ")
	conn, err := net.Dial("tcp", serving)
	if err != nil {
		t.Fatal(err, line)
	}
	bufio.NewReader(conn).ReadString('\n') // the client has been admitted
	answer, err := http.Get("http://" + address + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(answer.Body)
	if err != nil || !strings.Contains(string(text), "\naig_switchboard_connections 1\n") {
		t.Errorf("%v: %s", err, text)
	}
	conn.Close()
	cmd.Process.Signal(os.Interrupt)
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}
