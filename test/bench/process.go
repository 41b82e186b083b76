package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A process is a server under measurement.
type process struct {
	cmd  *exec.Cmd
	addr string
}

// startProcess runs a server and waits for its address to take connections.
func startProcess(ctx context.Context, addr, name string, args ...string) (*process, error) {
	p := &process{cmd: exec.CommandContext(ctx, name, args...), addr: addr}
	p.cmd.Stderr = os.Stderr
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	for deadline := time.Now().Add(30 * time.Second); ; {
		var d net.Dialer
		if c, err := d.DialContext(ctx, "tcp", addr); err == nil {
			_ = c.Close()
			return p, nil
		}
		if time.Now().After(deadline) || ctx.Err() != nil {
			p.stop()
			return nil, fmt.Errorf("%s did not listen on %s", name, addr)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (p *process) pid(name string) string { return fmt.Sprintf("%s=%d", name, p.cmd.Process.Pid) }

// stop asks the process to end and returns the CPU seconds of its whole life.
func (p *process) stop() float64 {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	_ = p.cmd.Wait()
	if s := p.cmd.ProcessState; s != nil {
		return (s.UserTime() + s.SystemTime()).Seconds()
	}
	return 0
}

// cpu is the CPU seconds so far.
func (p *process) cpu() float64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	f := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+2:]))
	user, _ := strconv.ParseFloat(f[11], 64)
	system, _ := strconv.ParseFloat(f[12], 64)
	return (user + system) / 100
}

// A server is a Binnacle under measurement with its own data directory.
type server struct {
	*process
	data, mesh, otlp, rls, web string
}

// serve starts Binnacle with fixed loopback ports of its own.
func (b *bench) serve(ctx context.Context, name string) (*server, error) {
	s := &server{
		data: filepath.Join(b.dir, name),
		mesh: "127.0.0.1:17391", otlp: "127.0.0.1:17317", rls: "127.0.0.1:17381", web: "127.0.0.1:17370",
	}
	quotas := filepath.Join(b.dir, "quota")
	if err := os.MkdirAll(quotas, 0o755); err != nil {
		return nil, err
	}
	rules := "domain: bench\ndescriptors:\n  - key: tenant\n    rate_limit: {unit: minute, requests_per_unit: 1000000}\n"
	conf := fmt.Sprintf("data: %s\nlisten: {mesh: %q, otlp_grpc: %q, otlp_http: \"\", rls: %q, web: %q}\ncollector: {service: {pipelines: {traces/binnacle: {}}}}\nquota: {files: [%s]}\nlog: {level: warn}\napi: {pprof: true}\n",
		s.data, s.mesh, s.otlp, s.rls, s.web, quotas)
	file := filepath.Join(b.dir, name+".yaml")
	if err := errors.Join(
		os.WriteFile(filepath.Join(quotas, "bench.yaml"), []byte(rules), 0o600),
		os.WriteFile(file, []byte(conf), 0o600),
	); err != nil {
		return nil, err
	}
	var err error
	if s.process, err = startProcess(ctx, s.web, b.binnacle, "serve", "--config", file); err != nil {
		return nil, err
	}
	return s, s.ready(ctx)
}

func (s *server) ready(ctx context.Context) error {
	for range 1000 {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.web+"/-/ready", nil)
		if err != nil {
			return err
		}
		if resp, err := http.DefaultClient.Do(req); err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
	return errors.New("the server did not become ready")
}

// counter is the sum of a counter's series, as /metrics has it.
func (s *server) counter(ctx context.Context, name string) (sum float64, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.web+"/metrics", nil)
	if err != nil {
		return 0, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer func() { _ = resp.Body.Close() }()
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		if rest, ok := strings.CutPrefix(lines.Text(), name); ok && rest != "" && (rest[0] == '{' || rest[0] == ' ') {
			v, err := strconv.ParseFloat(rest[strings.LastIndexByte(rest, ' ')+1:], 64)
			if err != nil {
				return 0, fmt.Errorf("read %s: %w", name, err)
			}
			sum += v
		}
	}
	return sum, nil
}
