package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/binnacle-mesh/binnacle/internal/api/params"
	"github.com/binnacle-mesh/binnacle/internal/ask"
)

// register mounts the dialects and the host's own paths.
func (a *API) register() error {
	all := claims(append(a.deps.Dialects, a.own()...))
	if err := checkClaims(all); err != nil {
		return err
	}
	for i := range all {
		a.mux.Handle(all[i].pattern, a.serve(&all[i]))
		a.patterns = append(a.patterns, all[i].pattern)
	}
	page := claim{by: &Mounted{Dialect: operating{a}}, route: Route{Serve: a.webPage}, pattern: "GET /", label: "GET /"}
	a.mux.Handle(page.pattern, a.serve(&page))
	return nil
}

// serve is a route's handler with all that surrounds it.
func (a *API) serve(c *claim) http.Handler {
	duration := a.metrics.duration.WithLabelValues(c.label)
	form := c.by.Dialect.Error
	h := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		start := a.now()
		w := &writer{ResponseWriter: rw}
		cost := c.route.Cost
		defer func() {
			v := recover()
			if v != nil {
				a.recovered(w, r, form, v)
			}
			a.metrics.requests.WithLabelValues(c.label, strconv.Itoa(w.status())).Inc()
			if cost != Endless {
				duration.Observe(a.now().Sub(start).Seconds())
			}
			if v != nil && w.code != 0 && w.broken {
				panic(http.ErrAbortHandler) // half an answer must not look whole
			}
		}()
		if r.Method == http.MethodPost {
			asked := body{memory: a.deps.Bodies}
			defer asked.close()
			if err := asked.read(r); err != nil {
				w.Header().Set("Connection", "close") // what is left of it is not worth reading
				a.fail(w, r, form, err)
				return
			}
			start = a.now() // a slow sender is no slow answer
		}
		if c.route.CostOf != nil {
			cost = c.route.CostOf(r)
		}
		if cost != Endless {
			ctx, cancel := context.WithTimeout(r.Context(), a.cfg.RequestTimeout)
			defer cancel()
			r = r.WithContext(ctx)
		}
		if cost == Search {
			ctx, question := a.deps.Questions.Open(r.Context())
			defer question.Close()
			r = r.WithContext(ctx)
			if err := question.Begin(ctx); err != nil {
				if !errors.Is(err, context.Canceled) { // nobody is there to be answered
					a.fail(w, r, form, err)
				}
				return
			}
		}
		a.answer(w, r, &c.route, form)
	})
	if c.prefix == "" {
		return h
	}
	return http.StripPrefix(c.prefix, h)
}

func (a *API) answer(w *writer, r *http.Request, rt *Route, form func(int, string) Answer) {
	var ans Answer
	var err error
	if rt.Serve != nil {
		if err = rt.Serve(w, r); err == nil || w.code != 0 {
			return
		}
	} else if ans, err = rt.Answer(r); err == nil {
		// A turn ends before the answer is sent, so that clients who read slowly keep nobody else from searching.
		question := ask.Of(r.Context())
		question.Rest()
		if err = a.room(len(ans.Body)); err == nil {
			question.Keep(0) // the answer has an account of its own
			a.send(w, r, ans)
			a.deps.Memory.Give(int64(len(ans.Body)))
			return
		}
	}
	a.fail(w, r, form, err)
}

// room reserves the bytes of an answer while it is sent, or says why it is not.
func (a *API) room(n int) error {
	switch {
	case int64(n) > a.cfg.MaxAnswerBytes:
		return &Error{Status: http.StatusUnprocessableEntity, Refused: "answer", Detail: fmt.Sprintf(
			"the answer has %d bytes, the limit is %d; ask for less, or raise api.max_answer_bytes", n, a.cfg.MaxAnswerBytes)}
	case !a.deps.Memory.Take(int64(n)):
		return &Error{Status: http.StatusServiceUnavailable, Refused: "memory", RetryAfter: 5, Detail: a.deps.Memory.Full(int64(n)).Error()}
	}
	return nil
}

// notRouted is the error for a path that nothing is at, and for one that was asked
// by the wrong method, which the mux would answer with plain text.
func (a *API) notRouted(w http.ResponseWriter, r *http.Request) error {
	var allow []string
	for _, m := range []string{http.MethodGet, http.MethodPost} {
		probe := r.Clone(r.Context())
		probe.Method = m
		if _, pattern := a.mux.Handler(probe); pattern != "" && !strings.HasSuffix(pattern, " /") {
			allow = append(allow, m)
		}
	}
	path := params.Quote(r.URL.Path)
	if len(allow) == 0 {
		return &Error{Status: http.StatusNotFound, Detail: fmt.Sprintf("nothing is served at %s; docs/api/http.md lists what is", path)}
	}
	w.Header().Set("Allow", strings.Join(allow, ", "))
	return &Error{Status: http.StatusMethodNotAllowed, Detail: fmt.Sprintf("%s cannot be asked by %s, only by %s", path, r.Method, strings.Join(allow, " or "))}
}
