package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A process is a program under measurement.
type process struct {
	cmd  *exec.Cmd
	addr string
}

// startProcess runs a program and waits for its address to take connections.
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
		if time.Now().After(deadline) || ctx.Err() != nil || !p.alive() {
			p.stop()
			return nil, fmt.Errorf("%s did not listen on %s; its own words are above", name, addr)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// floor starts this program as the server that throws everything away.
func (b *bench) floor(ctx context.Context) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	addr, err := freeAddr(ctx)
	if err != nil {
		return nil, err
	}
	return startProcess(ctx, addr, self, "-floor", addr)
}

// alive is false once the process has ended, though nobody has waited for it.
func (p *process) alive() bool {
	f := p.stat()
	return len(f) > 0 && f[0] != "Z"
}

// stop asks the process to end and returns the CPU seconds of its whole life. Once it has ended stop does nothing.
func (p *process) stop() float64 {
	if p.cmd.ProcessState == nil {
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
		_ = p.cmd.Wait()
	}
	if s := p.cmd.ProcessState; s != nil {
		return (s.UserTime() + s.SystemTime()).Seconds()
	}
	return 0
}

// stat is /proc/PID/stat after the name, or nothing.
func (p *process) stat() []string {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return nil
	}
	return strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
}

// cpu is the CPU seconds so far.
func (p *process) cpu() float64 {
	f := p.stat()
	if len(f) < 13 {
		return 0
	}
	user, _ := strconv.ParseFloat(f[11], 64)
	system, _ := strconv.ParseFloat(f[12], 64)
	return (user + system) / 100
}

// settle waits until the process has little left to do, but no longer than ten seconds.
func (p *process) settle(ctx context.Context) {
	last := p.cpu()
	for range 20 {
		select {
		case <-ctx.Done():
			return
		case <-time.After(500 * time.Millisecond):
		}
		now := p.cpu()
		if now-last < 0.02 {
			return
		}
		last = now
	}
}

// peakMB is the most that was ever resident.
func (p *process) peakMB() (float64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(b), "VmHWM:")
	var kb float64
	if _, err := fmt.Sscan(rest, &kb); err != nil {
		return 0, fmt.Errorf("read what is resident: %w", err)
	}
	return kb / 1024, nil
}

func freeAddr(ctx context.Context) (string, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String(), nil
}

// machine says where the figures are from and whether it had other work.
func machine() string {
	busy, _ := os.ReadFile("/proc/loadavg")
	return fmt.Sprintf("%d processors, %s; load average %.14s", runtime.NumCPU(), runtime.GOARCH, busy)
}
