package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A server is a program that spans are sent to.
type server struct {
	cmd       *exec.Cmd
	otlp, web string
}

func (s *server) stop() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	_ = s.cmd.Wait()
}

// start runs a program and waits until its OTLP address takes connections.
func (s *server) start(ctx context.Context, name string, args ...string) error {
	s.cmd = exec.CommandContext(ctx, name, args...)
	s.cmd.Stderr = os.Stderr
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", name, err)
	}
	var err error
	for range 600 {
		var c net.Conn
		var d net.Dialer
		if c, err = d.DialContext(ctx, "tcp", s.otlp); err == nil {
			return c.Close()
		}
		if ctx.Err() != nil {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	s.stop()
	return fmt.Errorf("%s did not listen on %s, its own words are above: %w", name, s.otlp, err)
}

// startBinnacle starts our server with its defaults, on free ports.
func startBinnacle(ctx context.Context, binary, dir string) (*server, error) {
	s := &server{}
	var mesh, rls string
	for _, at := range []*string{&mesh, &rls, &s.otlp, &s.web} {
		var err error
		if *at, err = freeAddr(ctx); err != nil {
			return nil, err
		}
	}
	file := filepath.Join(dir, "binnacle.yaml")
	conf := fmt.Sprintf("data: %s\nlisten: {mesh: %q, otlp_grpc: %q, otlp_http: \"\", rls: %q, web: %q}\ncollector: {service: {pipelines: {traces/binnacle: {}}}}\nlog: {level: warn}\n",
		filepath.Join(dir, "data"), mesh, s.otlp, rls, s.web)
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		return nil, err
	}
	return s, s.start(ctx, binary, "serve", "--config", file)
}

func freeAddr(ctx context.Context) (string, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// graphs is what the map shows and what PromQL answers.
func (s *server) graphs(ctx context.Context) (live, charts graph, err error) {
	live, charts = graph{map[edge]counts{}}, graph{map[edge]counts{}}
	var m struct {
		Edges []struct {
			Source, Target string
			Totals         struct{ Requests, Errors int }
		}
	}
	if err := s.get(ctx, "/api/v1/graph", &m); err != nil {
		return live, charts, err
	}
	for _, e := range m.Edges {
		k := edge{name(strings.TrimPrefix(e.Source, "shop/")), strings.TrimPrefix(e.Target, "shop/")}
		live.edges[k] = counts{e.Totals.Requests, e.Totals.Errors}
	}
	for _, of := range [...]struct {
		metric string
		put    func(*counts, int)
	}{
		{"traces_service_graph_request_total", func(c *counts, n int) { c.requests = n }},
		{"traces_service_graph_request_failed_total", func(c *counts, n int) { c.failed = n }},
	} {
		var v struct {
			Data struct {
				Result []struct {
					Metric map[string]string
					Value  [2]any
				}
			}
		}
		if err := s.get(ctx, "/api/v1/query?query="+url.QueryEscape("sum by (client, server) ("+of.metric+")"), &v); err != nil {
			return live, charts, err
		}
		for _, r := range v.Data.Result {
			text, _ := r.Value[1].(string)
			n, err := strconv.ParseFloat(text, 64)
			if err != nil {
				return live, charts, fmt.Errorf("%s: %w", of.metric, err)
			}
			if n == 0 {
				continue
			}
			k := edge{name(r.Metric["client"]), r.Metric["server"]}
			c := charts.edges[k]
			of.put(&c, int(n))
			charts.edges[k] = c
		}
	}
	return live, charts, nil
}

// name is a caller's.
func name(of string) string {
	if of == "client:unknown" || of == "unknown" || of == "user" || of == "" {
		return unknown
	}
	return of
}

func (s *server) get(ctx context.Context, path string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.web+path, http.NoBody)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return errors.New(path + ": " + resp.Status)
	}
	return json.NewDecoder(resp.Body).Decode(into)
}
