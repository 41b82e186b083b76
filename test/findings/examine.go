package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/binnacle-mesh/binnacle/internal/demo"
	"github.com/binnacle-mesh/binnacle/telemetry/findings"
	"github.com/binnacle-mesh/binnacle/test/subject"
)

// trial is a flaw and what is to be found of it.
type trial struct {
	flaw    demo.Flaw
	service string
	kind    findings.Kind
	node    string // GraphNode.ID whom the finding must be about
	// also are kinds that are true besides: who has lost a pod has a silent replica, too.
	also []findings.Kind
	// leaves is what is true when the flaw is over, and stays so for a quarter of an hour; such a trial comes after the healthy minutes.
	leaves string
}

func theTrials() []trial {
	return []trial{
		{demo.FlawHeaders, "search", findings.HeadersDropped, "shop/search", nil, ""},
		{demo.FlawTracer, "shipping", findings.NoTracer, "fulfil/shipping", nil, ""},
		{demo.FlawClock, "users", findings.ClockOff, "shop/users", nil, ""},
		{demo.FlawSampling, "frontend", findings.SamplingDiffers, "shop/frontend", nil, ""},
		{demo.FlawReplica, "reviews", findings.ReplicaSilent, "shop/reviews", nil, ""},
		{demo.FlawTwice, "cart", findings.ReportedTwice, "shop/cart", nil, ""},
		{demo.FlawRenamed, "catalog", findings.ServiceRenamed, "shop/catalog", nil, ""},
		// When it is over the pod that had the address is gone.
		{demo.FlawAddress, "reviews", findings.AddressReused, "shop/reviews", []findings.Kind{findings.ReplicaSilent}, "replica_silent shop/pricing"},
	}
}

const (
	every  = 500 * time.Millisecond
	within = 10 * time.Second
	ends   = 5 * time.Minute // after it is over a finding is to be gone
	calms  = 20 * time.Second
)

type exam struct {
	server *subject.Server
	mesh   *demo.Mesh
	client http.Client
	begun  time.Time
	last   string // what was found last, so that only what changes is printed
}

// finding is one of /api/v1/findings.
type finding struct {
	Kind, Subject, Says, Remedy string
	Evidence, Nodes, Edges      []string
}

func (e *exam) say(format string, args ...any) {
	fmt.Printf("%6.1f s  %s\n", time.Since(e.begun).Seconds(), fmt.Sprintf(format, args...))
}

// examine examines a server that it starts and ends.
func examine(ctx context.Context, o options) (err error) {
	e := &exam{begun: time.Now()}
	e.client.Timeout = 5 * time.Second
	if e.server, err = subject.Serve(ctx, o.binnacle); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.server.Close()) }()
	cfg := demo.DefaultConfig()
	cfg.Mesh, cfg.BasePort, cfg.Story, cfg.Rate, cfg.Flaws = e.server.Mesh, 0, false, o.rate, true
	if e.mesh, err = demo.Start(ctx, cfg, slog.New(slog.DiscardHandler)); err != nil {
		return err
	}
	defer e.mesh.Close()
	e.say("the mesh is up")
	wrong := 0
	if n, err := e.healthy(ctx, o.warm); err != nil {
		return err
	} else if wrong += n; n > 0 {
		e.say("FAILED: something was found in %s in which nothing was wrong", o.warm)
	}
	passed, all := 0, 0
	try := func(last bool) error {
		for _, t := range theTrials() {
			if !slices.Contains(o.only, string(t.flaw)) || last != (t.leaves != "") {
				continue
			}
			all++
			ok, err := e.try(ctx, &t)
			if err != nil {
				return err
			}
			if ok {
				passed++
			}
		}
		return nil
	}
	if err := try(false); err != nil {
		return err
	}
	n, err := e.healthy(ctx, o.healthy)
	if err != nil {
		return err
	}
	wrong += n
	if err := try(true); err != nil {
		return err
	}
	fmt.Printf("%d of %d flaws were found within %s; %d answers of %s without flaws named one\n", passed, all, within, wrong, o.warm+o.healthy)
	if passed < all || wrong > 0 {
		return errFailed
	}
	return nil
}

// healthy waits, and counts the answers that name something.
func (e *exam) healthy(ctx context.Context, long time.Duration) (wrong int, err error) {
	for end := time.Now().Add(long); time.Now().Before(end); {
		found, err := e.ask(ctx)
		if err != nil {
			return wrong, err
		}
		if len(found) > 0 {
			wrong++
		}
	}
	return wrong, nil
}

// try injects one flaw and waits for it to be found, and to end.
func (e *exam) try(ctx context.Context, t *trial) (ok bool, err error) {
	begun := time.Now()
	e.say("%s: %s", t.flaw, t.service)
	if err := e.mesh.Inject(ctx, t.flaw, t.service); err != nil {
		return false, err
	}
	injected := time.Now()
	var took time.Duration
	others := map[string]bool{}
	for took == 0 || time.Since(injected) < took+calms {
		found, err := e.ask(ctx)
		if err != nil {
			return false, err
		}
		for _, f := range found {
			switch kind := findings.Kind(f.Kind); {
			case kind == t.kind && f.Subject == t.node:
				if took == 0 {
					took = time.Since(injected)
				}
			case !slices.Contains(t.also, kind) || f.Subject != t.node:
				others[f.Kind+" "+f.Subject] = true
			}
		}
		if took == 0 && time.Since(injected) > time.Minute {
			break
		}
	}
	if err := e.mesh.Heal(); err != nil {
		return false, err
	}
	healed := time.Now()
	for e.last != "" && e.last != t.leaves && time.Since(healed) < ends {
		if _, err := e.ask(ctx); err != nil {
			return false, err
		}
	}
	ok = took > 0 && took <= within && len(others) == 0 && (e.last == "" || e.last == t.leaves)
	word := "ok"
	if !ok {
		word = "FAILED"
	}
	e.say("%s: %s of %s found after %.1f s (injecting took %.1f s), others: %d, gone after %.0f s", word, t.kind, t.node, took.Seconds(), injected.Sub(begun).Seconds(), len(others), time.Since(healed).Seconds())
	// What was learned while it lasted, such as pauses, is to be forgotten before the next.
	_, err = e.healthy(ctx, calms)
	return ok, err
}

// ask asks what is found, and prints what is new.
func (e *exam) ask(ctx context.Context) ([]finding, error) {
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case err := <-e.mesh.Failed():
		return nil, err
	case <-e.server.Ended():
		return nil, e.server.Err()
	case <-time.After(every):
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+e.server.Web+"/api/v1/findings", http.NoBody)
	if err != nil {
		return nil, err
	}
	response, err := e.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	var answer struct{ Findings []finding }
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return nil, err
	}
	var of []finding // those of the graph
	names := make([]string, 0, len(answer.Findings))
	for _, f := range answer.Findings {
		if len(f.Nodes) > 0 {
			of = append(of, f)
			names = append(names, f.Kind+" "+f.Subject)
		}
	}
	if now := strings.Join(names, ", "); now != e.last {
		e.last = now
		if now == "" {
			e.say("  nothing is found any more")
		}
		for _, f := range of {
			e.say("  %s %s: %s\n            %s", f.Kind, f.Subject, f.Says, strings.Join(f.Evidence, "; "))
		}
	}
	return of, nil
}
