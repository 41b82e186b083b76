package e2e

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestReload changes the configuration of a server that runs: by a signal, by a request, and by
// nothing but the file; and to one that is wrong. Connections, those of the embedded Collector's receivers
// among them, outlive it.
func TestReload(t *testing.T) {
	s := startServer(t)
	sound, err := os.ReadFile(s.file)
	if err != nil {
		t.Fatal(err)
	}
	sender, err := net.Dial("tcp", s.zipkin)
	if err != nil {
		t.Fatal(err)
	}
	defer sender.Close()
	replies := bufio.NewReader(sender)
	ask := func() (status string) {
		t.Helper()
		_, err := fmt.Fprintf(sender, "POST /api/v2/spans HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n[]")
		if err != nil {
			t.Fatalf("the connection of a Zipkin client: %v", err)
		}
		r, err := http.ReadResponse(replies, nil)
		if err != nil {
			t.Fatalf("the connection of a Zipkin client: %v", err)
		}
		r.Body.Close()
		return r.Status
	}
	before := ask()

	if err := s.signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	s.says(t, "asked_by=SIGHUP")
	if after := ask(); after != before {
		t.Errorf("after a signal a Zipkin client is told %s, before it %s", after, before)
	}

	write(t, s.file, append(sound, "log: {level: debug}\n"...))
	s.says(t, "log.level: info -> debug")
	if got := s.reload(t, http.StatusOK); !strings.Contains(got, `"applied":[]`) {
		t.Errorf("what was noticed at once is applied again: %s", got)
	}
	write(t, s.file, append(sound, "log: {level: loud}\n"...))
	if got := s.reload(t, http.StatusUnprocessableEntity); !strings.Contains(got, "log.level") {
		t.Errorf("a wrong level is answered %s", got)
	}
	write(t, s.file, append(sound, "log: {format: json}\n"...))
	if got := s.reload(t, http.StatusOK); !strings.Contains(got, `"needs_restart":[{"path":"log.format","old":"text","new":"json"}]`) {
		t.Errorf("answered %s, want the format to need a restart", got)
	}
	s.says(t, "log.level: debug -> info") // by the look at the file or by the request, whichever was first
}

// reload asks for it, and returns the answer.
func (s *server) reload(t *testing.T, want int) string {
	t.Helper()
	r, err := http.Post("http://"+s.web+"/-/reload", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	body, err := bufio.NewReader(r.Body).ReadString(0)
	if r.StatusCode != want {
		t.Errorf("POST /-/reload: %s: %s (%v)", r.Status, body, err)
	}
	return body
}

// says waits until the server has written something.
func (s *server) says(t *testing.T, what string) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !strings.Contains(s.output.String(), what); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the server has not said %q", what)
		}
	}
}
