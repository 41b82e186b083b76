package attack

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// A rawH2 speaks HTTP/2 as no library would let it.
type rawH2 struct {
	conn   net.Conn
	framer *http2.Framer
	head   *hpack.Encoder
	block  bytes.Buffer

	mu      sync.Mutex // of writes, and of what is below
	window  map[uint32]int64
	first   int64 // window of a new stream
	all     int64 // of the connection
	more    *sync.Cond
	ended   error // why the server ended the connection
	resets  int
	answers int
}

// openH2 connects and reads what the server sends, until the connection ends.
func openH2(addr string) (*rawH2, error) {
	conn, err := net.DialTimeout("tcp", addr, 5*time.Second)
	if err != nil {
		return nil, err
	}
	c := &rawH2{conn: conn, framer: http2.NewFramer(conn, conn), window: map[uint32]int64{}, first: 65535, all: 65535}
	c.more = sync.NewCond(&c.mu)
	c.head = hpack.NewEncoder(&c.block)
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		conn.Close()
		return nil, err
	}
	if err := c.framer.WriteSettings(); err != nil {
		conn.Close()
		return nil, err
	}
	go c.read()
	return c, nil
}

func (c *rawH2) read() {
	in := http2.NewFramer(io.Discard, c.conn)
	for {
		f, err := in.ReadFrame()
		c.mu.Lock()
		if err != nil {
			if c.ended == nil {
				c.ended = err
			}
			c.more.Broadcast()
			c.mu.Unlock()
			return
		}
		switch f := f.(type) {
		case *http2.SettingsFrame:
			if !f.IsAck() {
				if v, ok := f.Value(http2.SettingInitialWindowSize); ok {
					for id := range c.window {
						c.window[id] += int64(v) - c.first
					}
					c.first = int64(v)
				}
				_ = c.framer.WriteSettingsAck()
			}
		case *http2.WindowUpdateFrame:
			if f.StreamID == 0 {
				c.all += int64(f.Increment)
			} else {
				c.window[f.StreamID] += int64(f.Increment)
			}
		case *http2.PingFrame:
			if !f.IsAck() {
				_ = c.framer.WritePing(true, f.Data)
			}
		case *http2.RSTStreamFrame:
			c.resets++
			delete(c.window, f.StreamID)
		case *http2.HeadersFrame:
			if f.StreamEnded() {
				c.answers++
			}
		case *http2.GoAwayFrame:
			if c.ended == nil {
				c.ended = fmt.Errorf("GOAWAY %v", f.ErrCode)
			}
		}
		c.more.Broadcast()
		c.mu.Unlock()
	}
}

// call opens a gRPC call on a stream of this number.
func (c *rawH2) call(id uint32, method, encoding string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.window[id] = c.first
	return c.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: c.headers(method, encoding), EndHeaders: true})
}

func (c *rawH2) headers(method, encoding string) []byte {
	c.block.Reset()
	for _, f := range [][2]string{{":method", "POST"}, {":scheme", "http"}, {":path", method}, {":authority", "x"}, {"content-type", "application/grpc"}, {"te", "trailers"}, {"grpc-encoding", encoding}} {
		if f[1] != "" {
			_ = c.head.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
		}
	}
	return bytes.Clone(c.block.Bytes())
}

// send sends bytes of a stream as the server's windows allow, at most until the time is up, and returns how many were sent.
func (c *rawH2) send(id uint32, b []byte, until time.Time) (sent int, err error) {
	wake := time.AfterFunc(time.Until(until), c.more.Broadcast)
	defer wake.Stop()
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(b) > 0 {
		window, open := c.window[id]
		room := min(window, c.all, 16384, int64(len(b)))
		switch {
		case c.ended != nil:
			return sent, c.ended
		case !open:
			return sent, errors.New("the stream was reset")
		case time.Now().After(until):
			return sent, nil
		case room <= 0:
			c.more.Wait()
			continue
		}
		_ = c.conn.SetWriteDeadline(time.Now().Add(10 * time.Second))
		if err := c.framer.WriteData(id, false, b[:room]); err != nil {
			return sent, err
		}
		c.window[id] -= room
		c.all -= room
		b = b[room:]
		sent += int(room)
	}
	return sent, nil
}

// write does what fn does with the framer while nobody else writes.
func (c *rawH2) write(fn func(f *http2.Framer) error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended != nil {
		return c.ended
	}
	_ = c.conn.SetWriteDeadline(time.Now().Add(5 * time.Second))
	return fn(c.framer)
}

func (c *rawH2) state() (resets, answers int, ended error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.resets, c.answers, c.ended
}

// grpcPrefix announces a message of so many bytes.
func grpcPrefix(compressed bool, size int) []byte {
	b := make([]byte, 5)
	if compressed {
		b[0] = 1
	}
	binary.BigEndian.PutUint32(b[1:], uint32(size))
	return b
}
