package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// A server is a Binnacle under measurement, with a data folder of its own.
type server struct {
	*process
	binary, folder, data string
	mesh, otlp, rls, web string
}

// serve starts a subject's server on free loopback ports. Its configuration has only what older servers know as well, and some lines more.
func (b *bench) serve(ctx context.Context, of *subject, more ...string) (*server, error) {
	s := &server{binary: of.binary, folder: b.folder()}
	s.data = filepath.Join(s.folder, "data")
	for _, at := range []*string{&s.mesh, &s.otlp, &s.rls, &s.web} {
		var err error
		if *at, err = freeAddr(ctx); err != nil {
			return nil, err
		}
	}
	quotas := filepath.Join(s.folder, "quotas")
	if err := os.MkdirAll(quotas, 0o755); err != nil {
		return nil, err
	}
	const rules = "domain: bench\ndescriptors:\n  - key: tenant\n    rate_limit: {unit: minute, requests_per_unit: 1000000}\n"
	conf := fmt.Sprintf(`data: %s
listen: {mesh: %q, otlp_grpc: %q, otlp_http: "", rls: %q, web: %q}
collector: {service: {pipelines: {traces/binnacle: {}}}}
quota: {files: [%s]}
log: {level: warn}
api: {pprof: true}
`, s.data, s.mesh, s.otlp, s.rls, s.web, quotas) + strings.Join(more, "\n")
	if err := errors.Join(
		os.WriteFile(filepath.Join(quotas, "bench.yaml"), []byte(rules), 0o600),
		os.WriteFile(s.config(), []byte(conf), 0o600),
	); err != nil {
		return nil, err
	}
	return s, s.start(ctx)
}

func (s *server) config() string { return filepath.Join(s.folder, "binnacle.yaml") }

// start starts the server, again after a stop, and waits until it is ready.
func (s *server) start(ctx context.Context) error {
	p, err := startProcess(ctx, s.web, s.binary, "serve", "--config", s.config())
	if err != nil {
		return err
	}
	s.process = p
	for range 1000 {
		if _, err = fetch(ctx, "http://"+s.web+"/-/ready"); err == nil {
			return nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	p.stop()
	return fmt.Errorf("the server did not become ready: %w", err)
}

// clear ends the server and removes what it wrote.
func (s *server) clear() {
	s.stop()
	_ = os.RemoveAll(s.folder)
}

// counter is the sum of a counter's series, as /metrics has it.
func (s *server) counter(ctx context.Context, name string) (sum float64, err error) {
	body, err := fetch(ctx, "http://"+s.web+"/metrics")
	if err != nil {
		return 0, err
	}
	for lines := bufio.NewScanner(strings.NewReader(body)); lines.Scan(); {
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

// diskUse adds up the files below a folder.
func diskUse(dir string) (n int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			n += info.Size()
		}
		return err
	})
	return n, err
}
