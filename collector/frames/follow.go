package frames

import (
	"encoding/binary"
	"fmt"
	"math/bits"
)

// preface is what a client of HTTP/2 begins with.
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// Of a frame's header: 3 bytes of length, kind, flags, 4 bytes of stream.
const (
	frameLen    = 9
	kindData    = 0
	kindHeaders = 1
	kindReset   = 3
	kindGoAway  = 7
	flagEnd     = 0x1 // END_STREAM, of DATA and HEADERS
	flagHeaders = 0x4 // END_HEADERS, of HEADERS and CONTINUATION
	flagPadded  = 0x8
)

// What a stream and a frame cost in memory beyond the bytes of the message: a goroutine, its stack and what gRPC keeps of a stream; of a frame
// the buffer's own records.
const (
	streamCost = 12 << 10
	frameCost  = 96
)

// cost is what a frame of DATA costs until its message is whole. Buffers beyond 1 KiB are lent by wire.Pool, in powers of two.
func cost(length int) int64 {
	if length <= 1<<10 {
		return int64(length) + frameCost
	}
	return 1<<bits.Len(uint(length-1)) + frameCost
}

// head is the header of the frame that is passing.
type head struct {
	bytes  [frameLen]byte
	have   int // of them
	left   int // of its payload
	kind   byte
	flags  byte
	stream uint32
}

// take takes what of b belongs to the header, and says whether all of it is there.
func (h *head) take(b []byte) (rest []byte, whole bool) {
	n := copy(h.bytes[h.have:], b)
	h.have += n
	if h.have < frameLen {
		return nil, false
	}
	h.left = int(h.bytes[0])<<16 | int(h.bytes[1])<<8 | int(h.bytes[2])
	h.kind, h.flags = h.bytes[3], h.bytes[4]
	h.stream = binary.BigEndian.Uint32(h.bytes[5:]) &^ (1 << 31)
	return b[n:], true
}

// reader follows what a client sends.
type reader struct {
	head
	preface int    // bytes of it to come
	length  int    // of the frame's payload
	fresh   uint32 // a stream that was opened and of which nothing more has come yet; not in conn.open
	current message
	ended   bool // a message ended in the current frame
	padding bool // the padding's length is to come
	data    int  // bytes of messages to come in this frame
}

// follow looks at what has come. A reason says that the connection is to be closed.
func (r *reader) follow(c *conn, b []byte) (why reason, text string) {
	if r.preface > 0 {
		n := min(r.preface, len(b))
		r.preface -= n
		b = b[n:]
	}
	for len(b) > 0 {
		if r.have < frameLen {
			var whole bool
			if b, whole = r.take(b); !whole {
				break
			}
			if !r.begin(c) {
				return full(c)
			}
		}
		n := min(r.left, len(b))
		if r.kind == kindData && n > 0 {
			r.payload(b[:n])
		}
		r.left -= n
		b = b[n:]
		if r.left == 0 {
			r.have = 0
			if r.kind == kindData && !r.finish(c) {
				return full(c)
			}
		}
	}
	// Its first message may take long: the stream is known from now on.
	if !r.settle(c) {
		return full(c)
	}
	if c.waiting.Load() > maxOver {
		return noClient, "too many streams that were left unfinished"
	}
	return "", ""
}

func full(c *conn) (reason, string) {
	return tooMuch, fmt.Sprintf("messages that have not all come take too much memory, %d bytes of this connection; a sender may have as much as is free of %d "+
		"(receive.max_inflight_bytes): come back later, send smaller ones, or fewer at a time", c.sender.Held(), c.w.memory.Limit())
}

// settle remembers the stream that was opened last.
func (r *reader) settle(c *conn) bool {
	stream := r.fresh
	r.fresh = 0
	return stream == 0 || c.keep(stream, message{}, streamCost)
}

// begin looks at a frame's header.
func (r *reader) begin(c *conn) bool {
	r.length = r.left
	switch r.kind {
	case kindHeaders:
		opened := r.stream > c.last.Load()
		if opened {
			c.last.Store(r.stream)
		}
		switch {
		case r.flags&flagEnd != 0:
			c.drop(r.stream)
		case opened:
			if !r.settle(c) {
				return false
			}
			r.fresh = r.stream
		}
	case kindReset:
		if r.stream == r.fresh {
			r.fresh = 0
		}
		c.drop(r.stream)
	case kindData:
		if r.stream == r.fresh {
			r.current = message{}
		} else {
			r.current = c.message(r.stream)
		}
		r.ended, r.data = false, r.left
		r.padding = r.flags&flagPadded != 0
	}
	return true
}

// payload looks at a part of a DATA frame's payload.
func (r *reader) payload(b []byte) {
	if r.padding {
		r.padding = false
		r.data = max(r.data-1-int(b[0]), 0)
		b = b[1:]
	}
	b = b[:min(len(b), r.data)]
	r.data -= len(b)
	m := &r.current
	for len(b) > 0 {
		if m.need == 0 {
			n := copy(m.prefix[m.have:], b)
			m.have += uint8(n)
			b = b[n:]
			if m.have < prefixLen {
				return
			}
			m.need = binary.BigEndian.Uint32(m.prefix[1:])
		} else {
			n := min(m.need, uint32(len(b)))
			m.need -= n
			b = b[n:]
		}
		if m.need == 0 {
			m.have, r.ended = 0, true
		}
	}
}

// finish looks at what a DATA frame leaves behind.
func (r *reader) finish(c *conn) bool {
	if r.length == 0 && r.flags&flagEnd == 0 {
		return true
	}
	if r.stream == r.fresh && (r.ended || r.flags&flagEnd != 0) {
		r.fresh = 0
	}
	if r.flags&flagEnd != 0 || r.ended && !r.current.over {
		c.drop(r.stream)
		if r.flags&flagEnd != 0 || r.current.whole() {
			return true
		} // else another message begins in this frame, whose buffer it keeps
	}
	if r.stream == r.fresh { // its first message has begun; the stream is not known yet
		r.fresh = 0
		return c.keep(r.stream, r.current, streamCost+cost(r.length))
	}
	return c.keep(r.stream, r.current, cost(r.length))
}

// writer follows what the server sends.
type writer struct {
	head
	headers bool // a block of headers has begun, and nothing may come in between
}

// between says that another frame may come now.
func (w *writer) between() bool { return w.have == 0 && w.left == 0 && !w.headers }

// follow looks at what is about to go.
func (w *writer) follow(c *conn, b []byte) {
	for len(b) > 0 {
		if w.have < frameLen {
			var whole bool
			if b, whole = w.take(b); !whole {
				return
			}
			const kindContinuation = 9
			switch w.kind {
			case kindHeaders, kindContinuation:
				w.headers = w.flags&flagHeaders == 0
				if w.kind == kindHeaders && w.flags&flagEnd != 0 {
					c.ended(w.stream)
				}
			case kindReset:
				c.ended(w.stream)
			}
		}
		n := min(w.left, len(b))
		w.left -= n
		b = b[n:]
		if w.left == 0 {
			w.have = 0
		}
	}
}
