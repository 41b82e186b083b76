package collector

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"

	"google.golang.org/grpc/encoding"
)

// How the body of an HTTP request is read, when its sender may be hostile.
//
// The problem: many senders at once may announce much and send little, send
// slowly, or send a little that decompresses to a great deal.
//
// Invariants: a sender holds admission for what it has sent (fourfold at most,
// and 4 KiB), not for what it has announced, and no longer than it keeps the pace
// (internal/pace) and receive.max_read_time;
// nothing is decompressed before all of it has come, so that no decompressor, which may
// need megabytes, waits for anybody; at most one decompressor a processor runs.

// firstRead is what a body is admitted for before a byte of it has come.
const firstRead = 4 << 10

// Bodies reads the bodies of a protocol's HTTP requests. It is safe for concurrent use.
type Bodies struct {
	in            *Intake
	limit         int       // of one, in bytes, decompressed
	pool          sync.Pool // of *Body
	gzip, zstd    encoding.Compressor
	decompressing chan struct{} // holds as many as may decompress at once
}

// Bodies makes a reader of bodies of up to limit bytes, decompressed, which are admitted by the intake.
func (in *Intake) Bodies(limit int) *Bodies {
	return &Bodies{
		in:            in,
		limit:         limit,
		pool:          sync.Pool{New: func() any { return new(Body) }},
		gzip:          Gzip(),
		zstd:          Zstd(),
		decompressing: make(chan struct{}, runtime.GOMAXPROCS(0)),
	}
}

// A Body is the memory of one request's body, used again by the next.
type Body struct {
	sent, plain []byte
	sender      *Sender
	held        int // bytes admitted for both
	expanded    int // and for what they become
}

// Read returns the request's body, decompressed from gzip or zstd. It is the caller's until Release, which is to be called whatever
// the result; the text of a refusal is for the sender.
func (s *Bodies) Read(w http.ResponseWriter, r *http.Request) (msg []byte, b *Body, refusal *Refusal) {
	b = s.pool.Get().(*Body)
	b.sender = SenderOf(r.Context())
	msg, refusal = s.read(w, r, b)
	return msg, b, refusal
}

// Release gives back what Read admitted, and the memory.
func (s *Bodies) Release(b *Body) {
	s.in.Leave(b.sender, b.held)
	s.in.Leave(nil, b.expanded)
	b.held, b.expanded, b.sender = 0, 0, nil
	if cap(b.sent)+cap(b.plain) <= keepBytes { // otherwise one extraordinary message would hold its memory for ever
		s.pool.Put(b)
	}
}

// Expand admits n bytes more for what the message becomes, until Release. They are nobody's share: a message that was admitted
// is to be taken.
func (s *Bodies) Expand(b *Body, n int) (refusal *Refusal) {
	if err := s.in.Admit(nil, n); err != nil {
		errors.As(err, &refusal)
		return refusal
	}
	b.expanded += n
	return nil
}

func (s *Bodies) read(w http.ResponseWriter, r *http.Request, b *Body) ([]byte, *Refusal) {
	decompress, err := s.decompressor(r.Header.Get("Content-Encoding"))
	if err != nil {
		return nil, s.in.Refuse(&Refusal{Reason: Unsupported, Err: err})
	}
	if r.ContentLength > int64(s.limit) {
		return nil, s.in.Refuse(TooLargeRefusal(s.limit))
	}
	cfg := s.in.Config()
	body := cfg.bodyPace().Follow(r.Body, http.NewResponseController(w))
	refusal := s.slurp(body, &b.sent, b)
	body.Came()
	if refusal != nil || decompress == nil {
		return b.sent, refusal
	}
	s.decompressing <- struct{}{}
	defer func() { <-s.decompressing }()
	src, err := decompress(bytes.NewReader(b.sent))
	if err != nil {
		return nil, s.in.Refuse(s.readRefusal(err))
	}
	refusal = s.slurp(src, &b.plain, b)
	if c, ok := src.(io.Closer); ok {
		_ = c.Close()
	}
	return b.plain, refusal
}

// decompressor is what undoes a content encoding, nil where there is none.
func (s *Bodies) decompressor(encoding string) (func(io.Reader) (io.Reader, error), error) {
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
// to b.held what it admitted.
func (s *Bodies) slurp(src io.Reader, buf *[]byte, b *Body) (refusal *Refusal) {
	limit := s.limit
	*buf = (*buf)[:0]
	for room := 0; ; {
		if len(*buf) == room {
			more := min(max(firstRead, 3*room), limit+1-room)
			if more <= 0 {
				return s.in.Refuse(TooLargeRefusal(limit))
			}
			if err := s.in.Admit(b.sender, more); err != nil {
				errors.As(err, &refusal)
				return refusal
			}
			b.held += more
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
func (s *Bodies) readRefusal(err error) *Refusal {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return &Refusal{
			Reason: Slow,
			Err:    slowBody(s.in.Config()),
		}
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return TooLargeRefusal(s.limit)
	}
	return &Refusal{Reason: Malformed, Err: fmt.Errorf("the request's body cannot be read: %w", err)}
}

// slowBody says what pace a body did not keep.
func slowBody(c *Config) error {
	if c.MinReadRate == 0 {
		return fmt.Errorf("the request's body did not arrive within %v (receive.read_timeout)", c.ReadTimeout)
	}
	return fmt.Errorf("the request's body did not arrive at %d bytes a second (receive.min_read_rate), for which %v may pass first (receive.read_timeout), or not within %v (receive.max_read_time)",
		c.MinReadRate, c.ReadTimeout, max(c.MaxReadTime, c.ReadTimeout))
}

// TooLargeRefusal is the refusal of a message beyond limit, which is receive.max_message_bytes or a part of it.
func TooLargeRefusal(limit int) *Refusal {
	return &Refusal{
		Reason: TooLarge,
		Err:    fmt.Errorf("the message is larger than %d bytes, decompressed (receive.max_message_bytes): send smaller batches", limit),
	}
}
