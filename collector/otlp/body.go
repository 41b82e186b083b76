package otlp

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/binnacle-mesh/binnacle/collector"
)

// How the body of an HTTP request is read, when its sender may be hostile.
//
// The problem: many senders at once may announce much and send little, send
// slowly, or send a little that decompresses to a great deal.
//
// Invariants: a sender holds admission for what it has sent (fourfold at most,
// and 4 KiB), not for what it has announced, and no longer than the read timeout;
// nothing is decompressed before all of it has come, so that no decompressor, which may
// need megabytes, waits for anybody; at most one decompressor a processor runs.

// firstRead is what a body is admitted for before a byte of it has come.
const firstRead = 4 << 10

// body is the memory of one request's body, used again by the next.
type body struct {
	sent, plain []byte
	held        int // bytes admitted for both
}

// read returns the request's body, decompressed, in b's memory. What b.held
// says the caller gives back by Leave, whatever the result.
func (s *Service) read(w http.ResponseWriter, r *http.Request, b *body) ([]byte, *collector.Refusal) {
	decompress, err := s.decompressor(r.Header.Get("Content-Encoding"))
	if err != nil {
		return nil, s.in.Refuse(&collector.Refusal{Reason: collector.Unsupported, Err: err})
	}
	limit := s.in.Config().MaxMessageBytes
	if r.ContentLength > int64(limit) {
		return nil, s.in.Refuse(tooLarge(limit))
	}
	ctl := http.NewResponseController(w)
	deadline := ctl.SetReadDeadline(time.Now().Add(s.in.Config().ReadTimeout)) == nil
	refusal := s.slurp(r.Body, &b.sent, &b.held)
	if deadline {
		// net/http goes on reading while the handler works, to see the sender
		// leave; a deadline that passed then would cancel the request.
		_ = ctl.SetReadDeadline(time.Time{})
	}
	if refusal != nil || decompress == nil {
		return b.sent, refusal
	}
	s.decompressing <- struct{}{}
	defer func() { <-s.decompressing }()
	src, err := decompress(bytes.NewReader(b.sent))
	if err != nil {
		return nil, s.in.Refuse(s.readRefusal(err))
	}
	refusal = s.slurp(src, &b.plain, &b.held)
	if c, ok := src.(io.Closer); ok {
		_ = c.Close()
	}
	return b.plain, refusal
}

// decompressor is what undoes a content encoding, nil where there is none.
func (s *Service) decompressor(encoding string) (func(io.Reader) (io.Reader, error), error) {
	switch strings.ToLower(strings.TrimSpace(encoding)) {
	case "", "identity":
		return nil, nil
	case "gzip", "x-gzip":
		return s.gzip.Decompress, nil
	case "zstd":
		return s.zstd.Decompress, nil
	default:
		return nil, fmt.Errorf("content encoding %.100q is not spoken here: send gzip, zstd or plain", encoding)
	}
}

// slurp reads src to its end into *buf, admitting it as it comes, and adding
// to *held what it admitted.
func (s *Service) slurp(src io.Reader, buf *[]byte, held *int) (refusal *collector.Refusal) {
	limit := s.in.Config().MaxMessageBytes
	*buf = (*buf)[:0]
	for room := 0; ; {
		if len(*buf) == room {
			more := min(max(firstRead, 3*room), limit+1-room)
			if more <= 0 {
				return s.in.Refuse(tooLarge(limit))
			}
			if err := s.in.Admit(more); err != nil {
				errors.As(err, &refusal)
				return refusal
			}
			*held += more
			room += more
		}
		if cap(*buf) < room {
			*buf = append(make([]byte, 0, room), *buf...)
		}
		n, err := src.Read((*buf)[len(*buf):room])
		*buf = (*buf)[:len(*buf)+n]
		switch {
		case err == io.EOF && len(*buf) <= limit:
			return nil
		case err != nil && err != io.EOF:
			return s.in.Refuse(s.readRefusal(err))
		}
	}
}

// readRefusal says why a body could not be read.
func (s *Service) readRefusal(err error) *collector.Refusal {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return &collector.Refusal{
			Reason: collector.Slow,
			Err:    fmt.Errorf("the request's body did not arrive within %v (receive.read_timeout)", s.in.Config().ReadTimeout),
		}
	}
	return &collector.Refusal{Reason: collector.Malformed, Err: fmt.Errorf("the request's body cannot be read: %w", err)}
}
