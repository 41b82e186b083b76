package collector

import (
	"context"
	"errors"
	"net/http"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// A Refusal is the error by which a whole message is turned away. A gRPC
// handler may return it as it is; an HTTP handler writes HTTPStatus and, where
// RetryAfter is not zero, a Retry-After header.
type Refusal struct {
	Reason     Reason
	RetryAfter time.Duration // 0: sending the same again will not help
	Err        error         // what the sender is told
}

// Error is what the sender is told.
func (r *Refusal) Error() string { return r.Err.Error() }

// Unwrap is the cause.
func (r *Refusal) Unwrap() error { return r.Err }

// GRPCStatus is the refusal in gRPC's words. By OTLP, RESOURCE_EXHAUSTED may be
// retried only where it carries RetryInfo.
func (r *Refusal) GRPCStatus() *status.Status {
	s := status.New(r.code(), r.Error())
	if r.RetryAfter > 0 {
		if d, err := s.WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(r.RetryAfter)}); err == nil {
			s = d
		}
	}
	return s
}

func (r *Refusal) code() codes.Code {
	switch r.Reason {
	case Overloaded, TooLarge:
		return codes.ResourceExhausted
	case Malformed:
		return codes.InvalidArgument
	case Unsupported:
		return codes.Unimplemented
	case Slow:
		return codes.DeadlineExceeded
	case Canceled:
		return codes.Canceled
	default:
		return codes.Unavailable
	}
}

// HTTPStatus is the refusal in HTTP's words.
func (r *Refusal) HTTPStatus() int {
	switch r.Reason {
	case Overloaded:
		return http.StatusTooManyRequests
	case TooLarge:
		return http.StatusRequestEntityTooLarge
	case Malformed:
		return http.StatusBadRequest
	case Unsupported:
		return http.StatusUnsupportedMediaType
	case Slow, Canceled:
		return http.StatusRequestTimeout
	default:
		return http.StatusServiceUnavailable
	}
}

func closedRefusal() *Refusal { return &Refusal{Reason: Closed, Err: telemetry.ErrClosed} }

// appendRefusal says in the sender's words why the log did not take a batch.
func appendRefusal(err error, delay time.Duration) *Refusal {
	switch {
	case errors.Is(err, telemetry.ErrOverloaded):
		return &Refusal{Reason: Overloaded, RetryAfter: delay, Err: err}
	case errors.Is(err, telemetry.ErrClosed):
		return closedRefusal()
	case errors.Is(err, context.DeadlineExceeded):
		return &Refusal{Reason: Slow, Err: err}
	case errors.Is(err, context.Canceled):
		return &Refusal{Reason: Canceled, Err: err}
	default:
		return &Refusal{Reason: Failed, RetryAfter: delay, Err: err}
	}
}
