package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/binnacle-mesh/binnacle/test/load"
)

// queries measures lookups over many spans in blocks. Each server is filled once; then they stand side by side, and are asked in
// turn.
func (b *bench) queries(ctx context.Context) error {
	servers, ids := make([]*server, len(b.subjects)), make([][]string, len(b.subjects))
	b.serial++ // all get the same spans
	seed := b.serial
	for i, s := range b.subjects {
		srv, err := b.serve(ctx, s)
		if err != nil {
			return err
		}
		defer func() { servers[i].clear() }()
		servers[i] = srv
		sent, err := load.NewSpans(b.shop, seed).Send(ctx, srv.otlp, load.Plan{Length: time.Hour, Limit: b.searched, Sample: 2000})
		if err != nil {
			return err
		}
		ids[i] = sent.Traces
		fmt.Printf("  %-4s filled with %d spans%s\n", s.name, sent.Acked, refused(sent))
		srv.settle(ctx)
		srv.stop() // what is in memory becomes a block
		if err := srv.start(ctx); err != nil {
			return err
		}
	}
	for round := range b.rounds {
		for _, q := range []struct{ name, limit, path string }{
			{"trace by id", "10", "/api/v1/traces/{id}"},
			{"search: service, error, duration", "40", "/api/v1/traces?service={service}&status=error&min_duration=5ms&limit=20"},
		} {
			for _, i := range b.order(round) {
				readings, err := lookUp(ctx, servers[i], q.name, q.path, q.limit, ids[i], uint64(round)) //nolint:gosec // not negative
				if err != nil {
					return fmt.Errorf("%s: %w", q.name, err)
				}
				b.note(i, readings)
			}
		}
	}
	return nil
}

// lookUp asks one question after another, and takes only answers that have what was asked for.
func lookUp(ctx context.Context, srv *server, name, path, limit string, ids []string, seed uint64) ([]reading, error) {
	const warm, asked = 20, 300
	if len(ids) == 0 {
		return nil, errors.New("no trace was acknowledged")
	}
	chance := rand.New(rand.NewPCG(seed, 5)) //nolint:gosec // a load's chance
	var took []time.Duration
	var before float64
	for i := range warm + asked {
		if i == warm {
			before = srv.cpu()
		}
		id, service := ids[chance.IntN(len(ids))], load.Service(chance.IntN(40))
		url := "http://" + srv.web + strings.NewReplacer("{id}", id, "{service}", service).Replace(path)
		start := time.Now()
		body, err := fetch(ctx, url)
		if err != nil {
			return nil, err
		}
		if i >= warm {
			took = append(took, time.Since(start))
		}
		if strings.Contains(path, "{id}") && !strings.Contains(body, id) {
			return nil, fmt.Errorf("%s does not answer with its trace: %.200s", url, body)
		}
	}
	cpu := (srv.cpu() - before) / asked * 1e3
	slices.Sort(took)
	return []reading{
		{name + ", p50", millis(quantile(took, 0.5)), "ms", fmt.Sprintf("(limit %s), p99 %.1f ms", limit, millis(quantile(took, 0.99)))},
		{name + ", CPU", cpu, "ms", ""},
	}, nil
}

func fetch(ctx context.Context, url string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET %s: %s: %.200s", url, resp.Status, body)
	}
	return string(body), err
}
