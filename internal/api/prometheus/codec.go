package prometheus

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"

	jsoniter "github.com/json-iterator/go"
	"github.com/prometheus/prometheus/util/stats"
	v1 "github.com/prometheus/prometheus/web/api/v1"

	"github.com/binnacle-mesh/binnacle/internal/ask"
	"github.com/binnacle-mesh/binnacle/internal/promql"
)

// An answer is encoded piece by piece, and its size counted as it grows, before the first byte is sent: what turns out too large
// is an error and not a 200 that breaks off.
//
// Prometheus' handlers hand a result to a codec, which knows nothing of the request. What the codec needs travels in the one field that
// our own code fills in: the statistics.

type recorderKey struct{}

// A recorder keeps an answer until all of it is there.
type recorder struct {
	question *ask.Ask // may be nil
	header   http.Header
	code     int
	parts    [][]byte
	size     int64
	err      error // the answer cannot be given
}

func (r *recorder) Header() http.Header { return r.header }

func (r *recorder) WriteHeader(code int) {
	if r.code == 0 {
		r.code = code
	}
}

func (r *recorder) status() int {
	if r.code == 0 {
		return http.StatusOK
	}
	return r.code
}

// Write takes a copy of b.
func (r *recorder) Write(b []byte) (int, error) {
	if err := r.add(bytes.Clone(b)); err != nil {
		return 0, err
	}
	return len(b), nil
}

// add takes b over.
func (r *recorder) add(b []byte) error {
	if len(b) == 0 || r.err != nil {
		return r.err
	}
	if r.err = r.question.Answer(r.size, int64(len(b))); r.err != nil {
		r.parts, r.size = nil, 0
		return r.err
	}
	r.parts, r.size = append(r.parts, b), r.size+int64(len(b))
	return nil
}

// carried is the statistics of a query with the recorder of its answer.
type carried struct {
	stats.QueryStats                 // nil where nobody asked for them
	ctx              context.Context //nolint:containedctx // lives as long as the request
	to               *recorder
}

// carry is the renderer of statistics.
func carry(ctx context.Context, s *stats.Statistics, param string) stats.QueryStats {
	plain := v1.DefaultStatsRenderer(ctx, s, param)
	if to, ok := ctx.Value(recorderKey{}).(*recorder); ok {
		return &carried{QueryStats: plain, ctx: ctx, to: to}
	}
	return plain
}

// codec is Prometheus' own, but that a list is written piece by piece into the recorder.
type codec struct{ v1.JSONCodec }

// pieceBytes is about how much is encoded at a time.
const pieceBytes = 64 << 10

var errNoPlace = errors.New("BUG: prometheus: an empty result is not written as an empty list")

// Encode implements v1.Codec.
func (c codec) Encode(resp *v1.Response) ([]byte, error) {
	data, ok := resp.Data.(*v1.QueryData)
	if !ok {
		return c.JSONCodec.Encode(resp)
	}
	with, ok := data.Stats.(*carried)
	if !ok {
		return c.JSONCodec.Encode(resp)
	}
	plain, answer := *data, *resp
	plain.Stats, answer.Data = with.QueryStats, &plain
	parts, empty := promql.Parts(data.Result)
	if parts == nil {
		return c.JSONCodec.Encode(&answer)
	}
	plain.Result = empty
	frame, err := c.JSONCodec.Encode(&answer)
	if err != nil {
		return nil, fmt.Errorf("encode the answer: %w", err)
	}
	const list = `"result":[`
	at := bytes.Index(frame, []byte(list+"]"))
	if at < 0 {
		return nil, errNoPlace
	}
	at += len(list)
	buf := append(make([]byte, 0, pieceBytes+pieceBytes/4), frame[:at]...)
	comma := false
	for p := range parts {
		b, err := jsoniter.ConfigCompatibleWithStandardLibrary.Marshal(p)
		if err != nil {
			return nil, fmt.Errorf("encode the answer: %w", err)
		}
		if comma {
			buf = append(buf, ',')
		}
		comma = true
		if buf = append(buf, b...); len(buf) < pieceBytes {
			continue
		}
		if err := with.to.add(buf); err != nil {
			return nil, err
		}
		if err := with.to.question.Yield(with.ctx); err != nil {
			with.to.err = err
			return nil, err
		}
		buf = make([]byte, 0, pieceBytes+pieceBytes/4)
	}
	return nil, with.to.add(append(buf, frame[at:]...))
}
