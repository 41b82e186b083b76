package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/binnacle-mesh/binnacle/internal/demo"
)

// A server is the Binnacle under examination, with a folder of its own.
type server struct {
	folder, mesh, web string
	log               string // the path of what it says
	command           *exec.Cmd
	ended             chan error
}

// serve starts a server with the demo's quotas on free loopback ports, and waits until it is ready.
func serve(ctx context.Context, binary string) (s *server, err error) {
	s = &server{ended: make(chan error, 1)}
	if s.folder, err = os.MkdirTemp("", "binnacle-findings"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	s.log = filepath.Join(s.folder, "log")
	for _, at := range []*string{&s.mesh, &s.web} {
		if *at, err = freeAddr(ctx); err != nil {
			return nil, err
		}
	}
	rules, file := filepath.Join(s.folder, "quota"), filepath.Join(s.folder, "binnacle.yaml")
	conf := fmt.Sprintf(`data: %q
listen: {mesh: %q, web: %q, otlp_grpc: "", otlp_http: "", rls: ""}
collector: {service: {pipelines: {traces/binnacle: {}}}}
quota: {files: [%q]}
`, filepath.Join(s.folder, "data"), s.mesh, s.web, rules)
	if err = os.Mkdir(rules, 0o700); err != nil {
		return nil, err
	}
	if err = errors.Join(os.WriteFile(filepath.Join(rules, "shop.yaml"), demo.QuotaYAML(), 0o600), os.WriteFile(file, []byte(conf), 0o600)); err != nil {
		return nil, err
	}
	log, err := os.Create(s.log)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	s.command = exec.Command(binary, "serve", "--config", file) //nolint:noctx // it is ended in order, after the mesh
	s.command.Stdout, s.command.Stderr = log, log
	s.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL} // Ctrl-C reaches us only
	if err = s.command.Start(); err != nil {
		s.command = nil
		return nil, fmt.Errorf("start %s: %w (make build builds it)", binary, err)
	}
	go func() { s.ended <- s.command.Wait() }()
	return s, s.ready(ctx)
}

func (s *server) ready(ctx context.Context) error {
	for deadline := time.Now().Add(time.Minute); ; {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.web+"/-/ready", http.NoBody)
		if err != nil {
			return err
		}
		response, err := http.DefaultClient.Do(request)
		if err == nil {
			response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-s.ended:
			s.ended <- err
			return fmt.Errorf("the server ended before it was ready (%w):\n%s", err, s.lastWords())
		case <-time.After(50 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("the server was not ready within a minute:\n%s", s.lastWords())
		}
	}
}

// lastWords is the end of what it said.
func (s *server) lastWords() string {
	b, err := os.ReadFile(s.log)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return strings.Join(lines[max(0, len(lines)-20):], "\n")
}

// close ends the server and removes its folder.
func (s *server) close() error {
	if s.command != nil {
		_ = s.command.Process.Signal(syscall.SIGTERM)
		select {
		case <-s.ended:
		case <-time.After(20 * time.Second):
			_ = s.command.Process.Kill()
			<-s.ended
		}
	}
	return os.RemoveAll(s.folder)
}

func freeAddr(ctx context.Context) (string, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}
