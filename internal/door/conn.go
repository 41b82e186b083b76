package door

import (
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// How an answer that nobody reads ends.
//
// The problem: what is written to a client that does not read fills the kernel's buffers, and then the writer waits, with all
// that it holds, for as long as the client likes. A deadline for the whole answer is wrong either way: a great answer by a slow line
// takes longer than any that protects.
//
// The way: a deadline that moves on with each part that has left, whatever is spoken on the connection. Who reads less than a
// part within that time is gone or does harm. The clock is looked at once a write, and the deadline, which costs more, is set anew only
// when a tenth of it is over.
const (
	readWithin = 20 * time.Second // the time for a client to make room for one part
	renewAfter = readWithin / 10
	part       = 64 << 10
)

// conn is an open connection of a client.
type conn struct {
	net.Conn
	port  portMetrics
	until atomic.Int64 // the write deadline that was set last, Unix time in ns; 0 where it is not known
	once  sync.Once
	leave func()
}

// Write returns when all has been handed over, or the client does not read.
func (c *conn) Write(b []byte) (n int, err error) {
	for {
		now := time.Now()
		if c.until.Load()-now.UnixNano() < int64(readWithin-renewAfter) {
			until := now.Add(readWithin)
			if err := c.Conn.SetWriteDeadline(until); err != nil {
				return n, err
			}
			c.until.Store(until.UnixNano())
		}
		m, err := c.Conn.Write(b[n:min(len(b), n+part)])
		n += m
		if err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				c.port.unread.Inc()
			}
			return n, err
		}
		if n == len(b) {
			return n, nil
		}
	}
}

// SetDeadline and SetWriteDeadline hold until the next part is written.
func (c *conn) SetDeadline(t time.Time) error {
	c.until.Store(0)
	return c.Conn.SetDeadline(t)
}

// SetWriteDeadline is as SetDeadline.
func (c *conn) SetWriteDeadline(t time.Time) error {
	c.until.Store(0)
	return c.Conn.SetWriteDeadline(t)
}

// CloseWrite lets an HTTP server say its last word to a client that is still sending.
func (c *conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// Close gives the connection's place to another.
func (c *conn) Close() error {
	err := c.Conn.Close()
	c.once.Do(c.leave)
	return err
}
