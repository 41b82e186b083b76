package frames

import (
	"encoding/binary"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/binnacle-mesh/binnacle/collector"
)

// conn is a gRPC connection. One goroutine reads and one writes, as gRPC does.
type conn struct {
	net.Conn
	w      *Watch
	sender collector.Sender
	in     reader // of the goroutine that reads

	writing sync.Mutex // a leaf
	out     writer
	last    atomic.Uint32 // greatest stream that the client opened

	mu      sync.Mutex // a leaf
	open    map[uint32]message
	closed  bool
	waiting atomic.Int32 // len(open), so that nobody takes the lock for nothing
}

// A message is one that has begun and is not whole, or is to begin: the first of a stream.
type message struct {
	began  int64 // Unix nanoseconds
	held   int64 // bytes of the account
	need   uint32
	prefix [prefixLen]byte // the flag and the length that come before a message,
	have   uint8           // of which so many have come
	over   bool            // the server has ended the stream: what still comes of it is thrown away, and costs nothing
}

// whole says that the last message has all come, and no byte of the next.
func (m *message) whole() bool { return m.have == 0 && m.need == 0 }

// prefixLen is how many bytes come before each message.
const prefixLen = 5

// maxOver is how many streams that the server has ended a client may leave open, each in the midst of a message.
const maxOver = 4096

var errCut = errors.New("the connection was closed: it held too much, or for too long")

// RemoteAddr is the sender, by which receivers admit its messages.
func (c *conn) RemoteAddr() net.Addr { return &c.sender }

// Read reads, and follows what comes.
func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		if why, text := c.in.follow(c, p[:n]); why != "" {
			c.end(why, text)
			return 0, errCut
		}
	}
	return n, err
}

// Write writes, and follows what goes.
func (c *conn) Write(p []byte) (int, error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	c.out.follow(c, p)
	return c.Conn.Write(p)
}

// Close gives back all that is held.
func (c *conn) Close() error {
	err := c.Conn.Close()
	c.mu.Lock()
	first := !c.closed
	c.closed = true
	for _, m := range c.open {
		c.sender.Release(c.w.memory, m.held)
	}
	c.open = nil
	c.waiting.Store(0)
	c.mu.Unlock()
	if first {
		c.w.forget(c)
	}
	return err
}

// end closes the connection for a reason, which is counted once and told as far as that is possible without waiting.
func (c *conn) end(why reason, text string) {
	c.mu.Lock()
	closed := c.closed
	c.mu.Unlock()
	if closed {
		return
	}
	c.w.cut.WithLabelValues(string(why)).Inc()
	if c.writing.TryLock() {
		if c.out.between() && c.SetWriteDeadline(time.Now().Add(10*time.Millisecond)) == nil {
			_, _ = c.Conn.Write(goAway(c.last.Load(), text))
		}
		c.writing.Unlock()
	}
	_ = c.Close()
}

// goAway is a GOAWAY frame with the code ENHANCE_YOUR_CALM.
func goAway(last uint32, text string) []byte {
	b := make([]byte, frameLen+8, frameLen+8+len(text))
	b[0], b[1], b[2], b[3] = 0, byte((8+len(text))>>8), byte(8+len(text)), kindGoAway
	binary.BigEndian.PutUint32(b[frameLen:], last)
	binary.BigEndian.PutUint32(b[frameLen+4:], 0xb)
	return append(b, text...)
}

// message returns the message that is under way on a stream, or that is to begin.
func (c *conn) message(stream uint32) message {
	if c.waiting.Load() == 0 {
		return message{}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.open[stream]
}

// keep holds cost bytes more for a message that is not whole; false where there is no room. What is known of the stream is only how much
// of the message has come: since its last frame began the stream may have been settled, or ended by the server.
func (c *conn) keep(stream uint32, m message, cost int64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	was := c.open[stream]
	m.began, m.held, m.over = was.began, was.held, was.over
	if m.began == 0 {
		m.began = time.Now().UnixNano()
	}
	if !m.over {
		if !c.sender.Hold(c.w.memory, cost) {
			return false
		}
		m.held += cost
	}
	if c.open == nil {
		c.open = map[uint32]message{}
	}
	c.open[stream] = m
	c.waiting.Store(int32(len(c.open)))
	return true
}

// drop forgets a stream's message: it is whole, or the stream has ended.
func (c *conn) drop(stream uint32) {
	if c.waiting.Load() == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if m, ok := c.open[stream]; ok {
		c.sender.Release(c.w.memory, m.held)
		delete(c.open, stream)
		c.waiting.Store(int32(len(c.open)))
	}
}

// ended says that the server has ended a stream. What the client still sends of a message on it is to be told from the beginning of another.
func (c *conn) ended(stream uint32) {
	if c.waiting.Load() == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if m, ok := c.open[stream]; ok && !m.over {
		c.sender.Release(c.w.memory, m.held)
		m.over, m.held = true, 0
		c.open[stream] = m
	}
}

// late says whether a message has been coming since before.
func (c *conn) late(before int64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range c.open {
		if !m.over && m.began < before {
			return true
		}
	}
	return false
}
