package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/binnacle-mesh/binnacle/internal/demo"
	"github.com/binnacle-mesh/binnacle/test/subject"
)

// The problem: what the server says of whose doing it is must be held against what was done, by somebody who knows only the story and
// the API.
//
// The form: the mesh runs in this process, so that its story can be told from here (demo.Mesh.Tell); the server is a process of its own, and only its
// API is asked, twice a second. Whom a chapter strikes is known from the story (demo.FaultOf). A question that is asked while a chapter is told
// is judged by mark; until nobody is named any more after it, by nobody; otherwise as a healthy moment, by calm.

const (
	// every is the time between two questions.
	every = 500 * time.Millisecond
	// recovery is how long after a chapter somebody may be named, at most; then the next healthy minutes count him.
	recovery = 3 * time.Minute
	// passed is the share of trials that must hold.
	passed = 0.95
)

// exam is one exam that goes on.
type exam struct {
	server *subject.Server
	mesh   *demo.Mesh
	client http.Client
	begun  time.Time
	said   string // whom the last answer named, so that only what changes is printed
	marks  []*mark
	calm   calm
	warm   calm // at the beginning, which is not judged
}

// examine examines a server that it starts and ends.
func examine(ctx context.Context, o options) (err error) {
	plan := trials(o)
	length := o.warm + o.healthy
	for _, t := range plan {
		length += t.before + t.length
	}
	fmt.Printf("seed %d: %d trials, some %s and what recovery takes\n", o.seed, len(plan), length.Round(time.Minute))
	e := &exam{begun: time.Now()}
	e.client.Timeout = 5 * time.Second
	if e.server, err = subject.Serve(ctx, o.binnacle); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.server.Close()) }()
	cfg := demo.DefaultConfig()
	cfg.Mesh, cfg.BasePort, cfg.Story, cfg.Rate = e.server.Mesh, 0, false, o.rate
	if e.mesh, err = demo.Start(ctx, cfg, slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))); err != nil {
		return err
	}
	defer e.mesh.Close()
	err = e.all(ctx, o, plan)
	e.report(os.Stdout, plan)
	switch {
	case err != nil:
		return fmt.Errorf("ended early, after %s: %w", time.Since(e.begun).Round(time.Second), err)
	case !e.passed():
		return errFailed
	default:
		return nil
	}
}

// all holds the trials.
func (e *exam) all(ctx context.Context, o options, plan []trial) error {
	if err := e.healthy(ctx, &e.warm, o.warm); err != nil {
		return err
	}
	for i, t := range plan {
		if err := e.healthy(ctx, &e.calm, t.before); err != nil {
			return err
		}
		if err := e.hold(ctx, t, fmt.Sprintf("%d of %d", i+1, len(plan))); err != nil {
			return err
		}
	}
	return e.healthy(ctx, &e.calm, o.healthy)
}

// hold holds one trial, and waits until nobody is named any more.
func (e *exam) hold(ctx context.Context, t trial, which string) error {
	m := newMark(t)
	e.say("%s: %s for %s", which, t.chapter, t.length)
	if err := e.mesh.Tell(t.chapter); err != nil {
		return err
	}
	err := e.during(ctx, t.length, func(s sight, _ time.Duration, err error) bool {
		if err != nil {
			m.unanswered(s.at)
		} else {
			m.add(s)
		}
		return true
	})
	if err := errors.Join(err, e.mesh.Tell(demo.ChapterCalm)); err != nil {
		return err
	}
	e.marks = append(e.marks, m)
	e.say("%s: %s", which, m)
	err = e.during(ctx, recovery, func(s sight, _ time.Duration, err error) bool {
		if err == nil && len(s.culprits) == 0 {
			m.well = s.at
		}
		return m.well < 0
	})
	if m.well < 0 {
		e.say("%s: somebody is still named", which)
	} else {
		e.say("%s: well after %.1f s", which, m.well.Seconds())
	}
	return err
}

// healthy looks on while all is well.
func (e *exam) healthy(ctx context.Context, c *calm, length time.Duration) error {
	c.before = false
	return e.during(ctx, length, func(s sight, since time.Duration, err error) bool {
		if err == nil {
			c.add(s, since)
		}
		return true
	})
}

// during asks as long as that takes, or look wants more. look is told when the question was answered, and how long after the one before.
func (e *exam) during(ctx context.Context, length time.Duration, look func(s sight, since time.Duration, err error) (more bool)) error {
	begin := time.Now()
	last := begin
	for next := begin.Add(every); next.Before(begin.Add(length)); next = next.Add(every) {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-e.mesh.Failed():
			return err
		case <-e.server.Ended():
			return e.server.Err()
		case <-time.After(time.Until(next)):
		}
		s, err := e.ask(ctx)
		now := time.Now()
		s.at = now.Sub(begin)
		if !look(s, now.Sub(last), err) {
			return nil
		}
		last = now
		if late := now.Sub(next); late > every { // the questions that were not asked meanwhile are left out
			next = next.Add(late.Truncate(every))
		}
	}
	return nil
}

// ask asks for the graph.
func (e *exam) ask(ctx context.Context) (s sight, err error) {
	var g struct {
		Culprits []string
		Nodes    []struct {
			ID        string
			Judgement struct{ Kind, Because, Says string }
		}
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+e.server.Web+"/api/v1/graph", http.NoBody)
	if err != nil {
		return s, err
	}
	response, err := e.client.Do(request)
	if err != nil {
		return s, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET /api/v1/graph: %s: %.200s", response.Status, body)
	}
	if err == nil {
		err = json.Unmarshal(body, &g)
	}
	if err != nil {
		e.say("no answer: %v", err)
		return s, err
	}
	s.culprits = g.Culprits
	var says []string
	for _, id := range g.Culprits {
		for _, n := range g.Nodes {
			if n.ID == id {
				says = append(says, n.Judgement.Says)
				if len(says) == 1 {
					s.kind = n.Judgement.Kind
				}
			}
		}
	}
	if now := strings.Join(g.Culprits, ", "); now != e.said {
		e.said = now
		if now == "" {
			says = []string{"nobody is named any more"}
		}
		e.say("  %s", strings.Join(says, "; "))
	}
	return s, nil
}

// say tells who looks on what happens.
func (e *exam) say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "%7.1fs %s\n", time.Since(e.begun).Seconds(), fmt.Sprintf(format, args...))
}

// passed says that enough trials held, and that nobody was named while all was well.
func (e *exam) passed() bool {
	held := 0
	for _, m := range e.marks {
		if m.held() {
			held++
		}
	}
	return float64(held) >= passed*float64(len(e.marks)) && e.calm.alarms == 0
}
