package attack

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestDisk takes the disk away in the ways that disks have of going.
func TestDisk(t *testing.T) {
	runAll(t, []attack{
		{name: "disk full, then freed", deaths: true, surroundings: onSmallMount, do: fullThenFreed},
		{name: "a disk that hangs", slowAcks: true, surroundings: onDevice, do: hangingDisk},
		{name: "a slow disk", slowAcks: true, surroundings: onDevice, do: slowDisk},
		{name: "a disk that turns read-only", deaths: true, surroundings: onDevice, do: brokenDisk((*device).turnReadOnly)},
		{name: "a disk that dies", deaths: true, surroundings: onDevice, do: brokenDisk((*device).die)},
		{name: "two servers on one directory", do: twoServers},
		{name: "data directory deleted", deaths: true, noAudit: true, do: deletedDirectory},
	})
}

// waitFor asks until it is so, and says what it is otherwise.
func waitFor(within time.Duration, what string, so func() bool) error {
	for deadline := time.Now().Add(within); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		if so() {
			return nil
		}
	}
	return fmt.Errorf("after %v still not: %s", within, what)
}

func (w *world) status(path string) int {
	code, _ := w.get(path, 2*time.Second)
	return code
}

// refuses holds a server that cannot write to what it must be able to do: say that it is not ready and yet alive, answer questions,
// decide quotas, and tell nobody that a span was taken.
func (w *world) refuses(ctx context.Context, within time.Duration) error {
	if err := waitFor(within, "/-/ready is false", func() bool { return w.ended() || w.status("/-/ready") == http.StatusServiceUnavailable }); err != nil {
		return err
	}
	if w.ended() {
		return nil // with its reason, which the caller looks at
	}
	if code := w.status("/-/healthy"); code != http.StatusOK {
		return fmt.Errorf("/-/healthy is %d while the server refuses", code)
	}
	if code := w.status("/api/v1/services"); code != http.StatusOK {
		return fmt.Errorf("questions are answered with %d while the log cannot be written", code)
	}
	cc, err := dial(w.rls)
	if err != nil {
		return err
	}
	defer cc.Close()
	c, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if reply, err := call(c, cc, quotaMethod, question("honest", "tenant", "t")); err != nil || !allowed(reply) {
		return fmt.Errorf("a quota decision while the log cannot be written: %w", err)
	}
	return nil
}

// fullThenFreed fills the disk, looks, frees room, and waits for the server to come back without help; then kills it.
func fullThenFreed(ctx context.Context, w *world, _ *honest, n *tally) (string, error) {
	c, cancel := context.WithTimeout(ctx, 40*time.Second)
	go func() {
		defer cancel()
		_ = waitFor(40*time.Second, "", func() bool { return w.ended() || w.status("/-/ready") == http.StatusServiceUnavailable })
	}()
	f := flood{spans: 1 << 40, each: 500, giveUp: true, span: func(i int) forged {
		return forged{service: "loud", trace: newTrace(), id: 1, kind: server, name: "GET /", attrs: []attr{{"text", strings.Repeat(strconv.Itoa(i), 40)}}}
	}}
	_ = f.run(c, w.otlp, n)
	saw := fmt.Sprintf("until it was full: %v", n)
	if w.ended() {
		return saw, fmt.Errorf("it ended when the disk was full: %s", w.said.tail(300))
	}
	if err := w.refuses(ctx, time.Second); err != nil {
		return saw, err
	}
	time.Sleep(3 * time.Second) // whoever writes to disk beside the log meets it too
	freed := time.Now()
	if err := os.Remove(filepath.Join(w.inside, w.data, "ballast")); err != nil {
		return saw, err
	}
	if err := waitFor(time.Minute, "ready after room was made", func() bool { return w.status("/-/ready") == http.StatusOK }); err != nil {
		return saw, err
	}
	saw += fmt.Sprintf("; ready %.1f s after room was made", time.Since(freed).Seconds())
	if _, hops, err := w.welcome("freed", freed, time.Minute); err != nil {
		return saw, err
	} else {
		n.acked.Add(int64(2 * hops))
	}
	w.kill()
	return saw + "; killed and started", w.start()
}

// hangingDisk freezes the file system. Whoever waits for the disk waits, and nobody else.
func hangingDisk(ctx context.Context, w *world, _ *honest, _ *tally) (string, error) {
	length := time.Duration(sized(6, 10)) * time.Second
	thaw, err := w.disk.freeze(length)
	if err != nil {
		return "", err
	}
	began := time.Now()
	if err := waitFor(length/2, "/-/ready is false while the disk hangs", func() bool { return w.status("/-/ready") == http.StatusServiceUnavailable }); err != nil {
		return "", errors.Join(err, thaw())
	}
	noticed := time.Since(began)
	var codes []string
	for _, path := range []string{"/-/healthy", "/-/ready", "/api/v1/graph", "/api/v1/services", "/metrics"} {
		codes = append(codes, fmt.Sprintf("%s %d", path, w.status(path)))
	}
	if err := thaw(); err != nil {
		return "", err
	}
	thawed := time.Now()
	if err := waitFor(5*time.Second, "ready after the disk returned", func() bool { return w.status("/-/ready") == http.StatusOK }); err != nil {
		return "", err
	}
	saw := fmt.Sprintf("frozen for %v; not ready after %.1f s, ready %.1f s after it returned; meanwhile %s", length, noticed.Seconds(), time.Since(thawed).Seconds(), strings.Join(codes, ", "))
	for _, c := range codes {
		if want := map[bool]string{true: " 503", false: " 200"}[strings.HasPrefix(c, "/-/ready")]; !strings.HasSuffix(c, want) {
			return saw, fmt.Errorf("while the disk hung: %s, not%s", c, want)
		}
	}
	return saw, ctx.Err()
}

// slowDisk freezes the file system again and again, for a part of the time.
func slowDisk(ctx context.Context, w *world, _ *honest, n *tally) (string, error) {
	c, cancel := context.WithTimeout(ctx, time.Duration(sized(8, 30))*time.Second)
	defer cancel()
	go func() {
		f := flood{spans: 1 << 40, each: 100, senders: 2, span: func(int) forged {
			return forged{service: "loud", trace: newTrace(), id: 1, kind: server, name: "GET /"}
		}}
		_ = f.run(c, w.otlp, n)
	}()
	times := 0
	for c.Err() == nil {
		thaw, err := w.disk.freeze(300 * time.Millisecond)
		if err != nil {
			return "", err
		}
		if err := thaw(); err != nil {
			return "", err
		}
		times++
		time.Sleep(100 * time.Millisecond)
	}
	time.Sleep(200 * time.Millisecond) // for the flood's last answers
	return fmt.Sprintf("frozen %d times for 0.3 s; %v", times, n), nil
}

// brokenDisk lets the file system fail for good under the server, mounts it anew and starts the server again.
func brokenDisk(fail func(*device) error) func(context.Context, *world, *honest, *tally) (string, error) {
	return func(ctx context.Context, w *world, h *honest, _ *tally) (string, error) {
		if err := fail(w.disk); err != nil {
			return "", err
		}
		if err := w.refuses(ctx, 20*time.Second); err != nil {
			return "", err
		}
		saw := "it refused, stayed alive"
		if w.ended() {
			saw = "it ended: " + strings.TrimSpace(w.said.tail(160))
		} else {
			before := len(h.counts().acks)
			time.Sleep(2 * time.Second)
			if after := len(h.counts().acks); after > before {
				return saw, fmt.Errorf("%d exports were acknowledged though nothing can be written", after-before)
			}
			told := time.Now()
			if err := w.end(10 * time.Second); err != nil {
				return saw, err
			}
			saw += fmt.Sprintf("; ended %.1f s after a SIGTERM: %s", time.Since(told).Seconds(), strings.TrimSpace(w.said.tail(250)))
			if !strings.Contains(w.said.String(), "stopped without writing what was in memory") {
				return saw, errors.New("it does not say why it ended without writing all")
			}
		}
		if err := w.disk.remount(); err != nil {
			return saw, err
		}
		return saw + "; mounted anew, it started", w.start()
	}
}

// twoServers starts a second server on the directory of the first.
func twoServers(_ context.Context, w *world, _ *honest, _ *tally) (string, error) {
	second := prepare(w.t, "")
	second.data = w.data
	began := time.Now()
	err := second.start()
	switch {
	case err == nil:
		return "", errors.New("a second server started on the directory of the first")
	case !errors.Is(err, errEnded):
		return "", err
	case !strings.Contains(second.said.String(), w.data):
		return "", fmt.Errorf("the second server does not say which directory is in use: %s", second.said.tail(300))
	}
	return fmt.Sprintf("the second ended after %.1f s: %s", time.Since(began).Seconds(), strings.TrimSpace(second.said.tail(150))), nil
}

// deletedDirectory removes the directory under the running server. What was in it is lost, and whoever deleted it knows; the server notices, takes
// nothing more, and says so.
func deletedDirectory(ctx context.Context, w *world, h *honest, _ *tally) (string, error) {
	if err := os.RemoveAll(w.data); err != nil {
		return "", err
	}
	gone := time.Now()
	before := len(h.counts().acks)
	err := w.refuses(ctx, 30*time.Second)
	noticed := time.Since(gone)
	between := len(h.counts().acks) - before
	if err != nil {
		return fmt.Sprintf("%d exports acknowledged after the directory was gone", between), err
	}
	saw := fmt.Sprintf("noticed after %.1f s, in which %d exports were acknowledged", noticed.Seconds(), between)
	if w.ended() {
		saw += "; it ended: " + strings.TrimSpace(w.said.tail(200))
	} else {
		before = len(h.counts().acks)
		time.Sleep(2 * time.Second)
		if after := len(h.counts().acks); after > before {
			return saw, fmt.Errorf("%d exports were acknowledged after it was noticed", after-before)
		}
		w.kill()
	}
	return saw + "; started anew", w.start()
}
