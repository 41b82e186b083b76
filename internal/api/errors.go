package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/binnacle-mesh/binnacle/internal/ask"
	"github.com/binnacle-mesh/binnacle/internal/query"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

// An Error is an error that knows its status. Others are told by what they are: see classify.
type Error struct {
	Status int
	Detail string // what was wrong and what to do, for people
	// Refused, if set, counts the request as refused for that reason, a constant: see binnacle_api_refused_total.
	Refused string
	// RetryAfter is in how many seconds it is worth asking again; 0 is not told.
	RetryAfter int
}

// Error is the detail.
func (e *Error) Error() string { return e.Detail }

// statusClientClosed is how nginx counts a client that went away; nobody reads it.
const statusClientClosed = 499

// classify is an error with its status, and with what the asker is told. What is
// the server's own fault is logged as well.
func (a *API) classify(r *http.Request, err error) *Error {
	var known *Error
	var invalid *query.InvalidError
	var tooMuch *ask.LimitError
	var full *ask.BusyError
	switch {
	case errors.As(err, &known):
		return known
	case errors.As(err, &invalid):
		return &Error{Status: http.StatusBadRequest, Detail: invalid.Error()}
	case errors.As(err, &tooMuch):
		return &Error{Status: http.StatusUnprocessableEntity, Detail: tooMuch.Error()}
	case errors.As(err, &full):
		return busy(full)
	case errors.Is(err, telemetry.ErrNotFound):
		return &Error{Status: http.StatusNotFound, Detail: err.Error()}
	case errors.Is(err, telemetry.ErrOverloaded), errors.Is(err, telemetry.ErrClosed):
		return &Error{Status: http.StatusServiceUnavailable, Detail: err.Error(), RetryAfter: 1}
	case ask.Of(r.Context()).Refusal() != nil: // whoever was refused said no more than that it could not go on
		return busy(ask.Of(r.Context()).Refusal())
	case errors.Is(r.Context().Err(), context.DeadlineExceeded):
		return &Error{Status: http.StatusGatewayTimeout, Detail: fmt.Sprintf(
			"no answer within %s; ask for a shorter range or fewer traces, or raise request_timeout", a.cfg.RequestTimeout)}
	case errors.Is(r.Context().Err(), context.Canceled):
		return &Error{Status: statusClientClosed, Detail: "the client went away"}
	}
	a.log.Error("request failed", "method", r.Method, "path", r.URL.Path, "err", err)
	return &Error{Status: http.StatusInternalServerError, Detail: err.Error()}
}

// busy is the answer to who was refused for the sake of others. Those refused memory are counted where it is.
func busy(e *ask.BusyError) *Error {
	reason := e.Reason
	if reason == "memory" {
		reason = ""
	}
	return &Error{Status: http.StatusServiceUnavailable, Detail: e.Detail, Refused: reason, RetryAfter: 5}
}

// fail answers for an error in the form of the dialect that was asked.
func (a *API) fail(w http.ResponseWriter, r *http.Request, form func(status int, detail string) Answer, err error) {
	e := a.classify(r, err)
	if e.Refused != "" {
		a.metrics.refused.WithLabelValues(e.Refused).Inc()
	}
	if e.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(e.RetryAfter))
	}
	a.send(w, r, form(e.Status, e.Detail))
}
