package api

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"

	"github.com/binnacle-mesh/binnacle/internal/ledger"
)

// How a question that is asked by POST is read, when its sender may be hostile.
//
// The problem: who announces a form and sends it slowly, or not at all, must not take one of the places of questions meanwhile, nor hold
// the memory that others' answers are made in.
//
// Invariants: all of the form has come before the question is opened, and before its time begins; a form holds memory for what has come
// of it (twofold at most), of an account that nothing else uses; a small one, as Grafana's are, needs none of it.

// small is how long a form may be without counting: its connection is counted for as much.
const small = 8 << 10

// A body is what has come of a request's body.
type body struct {
	memory *ledger.Account
	held   int64
	b      []byte
}

// read reads all of it; close gives back what it holds, whatever the result.
func (b *body) read(r *http.Request) error {
	if r.ContentLength > maxBody {
		return &Error{Status: http.StatusRequestEntityTooLarge, Refused: "body", Detail: fmt.Sprintf("the body has %d bytes, the limit is %d; ask for less at a time", r.ContentLength, maxBody)}
	}
	b.b = make([]byte, 0, small)
	for {
		if len(b.b) == cap(b.b) {
			if err := b.grow(); err != nil {
				return err
			}
		}
		n, err := r.Body.Read(b.b[len(b.b):cap(b.b)])
		b.b = b.b[:len(b.b)+n]
		var tooLarge *http.MaxBytesError
		switch {
		case err == nil:
		case errors.Is(err, io.EOF):
			r.Body = io.NopCloser(bytes.NewReader(b.b))
			return nil
		case errors.As(err, &tooLarge):
			return &Error{Status: http.StatusRequestEntityTooLarge, Refused: "body", Detail: fmt.Sprintf("the body has more than the %d bytes that it may have; ask for less at a time", tooLarge.Limit)}
		case errors.Is(err, os.ErrDeadlineExceeded):
			return &Error{Status: http.StatusRequestTimeout, Refused: "slow", Detail: fmt.Sprintf(
				"the body came too slowly: %d bytes of it are here; it may rest for %s, must come at %d bytes a second beyond that, and within %s", len(b.b), bodyPace.Grace, bodyPace.Rate, bodyPace.Most)}
		default:
			return &Error{Status: http.StatusBadRequest, Detail: fmt.Sprintf("the body cannot be read: %v", err)}
		}
	}
}

func (b *body) grow() error {
	more := int64(2 * cap(b.b))
	if !b.memory.Take(more) {
		return &Error{Status: http.StatusServiceUnavailable, Refused: "memory", RetryAfter: 5, Detail: b.memory.Full(more).Error()}
	}
	b.b = append(make([]byte, 0, more), b.b...)
	b.memory.Give(b.held)
	b.held = more
	return nil
}

func (b *body) close() { b.memory.Give(b.held) }
