package api_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/binnacle-mesh/binnacle/internal/ledger"

	"github.com/binnacle-mesh/binnacle/internal/api/apitest"
)

func TestStreamsAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := shop(newWorld(t, func(p *plan) { p.cfg.MaxStreams = 1 }))
		first := w.follow(nil)
		synctest.Wait()
		if rec := w.ask("GET", "/api/v1/graph/stream"); rec.Code != http.StatusServiceUnavailable || rec.Header().Get("Retry-After") == "" {
			t.Errorf("a stream too many was answered %d %v", rec.Code, rec.Header())
		}
		if n := w.counter(t, "binnacle_api_refused_total", "reason", "streams"); n != 1 {
			t.Errorf("%v refusals are counted, want 1", n)
		}
		first.cancel()
		<-first.done
		second := w.follow(nil)
		synctest.Wait()
		p := page{}
		p.read(t, second.take())
		p.is(t, w)
		w.ours.Close()
		<-second.done
		if rec := w.ask("GET", "/api/v1/graph/stream"); rec.Code != http.StatusServiceUnavailable {
			t.Errorf("after the end a stream was answered %d", rec.Code)
		}
	})
}

// TestStreamsOfOneAddressAreLimited: one machine cannot have all places.
func TestStreamsOfOneAddressAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := shop(newWorld(t, func(p *plan) { p.cfg.MaxStreams, p.cfg.MaxStreamsPerAddress = 3, 2 }))
		first, second := w.follow(nil), w.follow(nil)
		synctest.Wait()
		rec := w.ask("GET", "/api/v1/graph/stream")
		if rec.Code != http.StatusServiceUnavailable || !strings.Contains(rec.Body.String(), "max_streams_per_address") {
			t.Errorf("a third stream of one address was answered %d %s", rec.Code, rec.Body)
		}
		other := httptest.NewRequest(http.MethodHead, "/api/v1/graph/stream", nil)
		other.Host, other.RemoteAddr = "localhost", "192.0.2.77:1"
		answer := httptest.NewRecorder()
		w.api.ServeHTTP(answer, other)
		if answer.Code != http.StatusOK {
			t.Errorf("a stream of another address was answered %d", answer.Code)
		}
		first.cancel()
		<-first.done
		third := w.follow(nil)
		synctest.Wait()
		if third.code != http.StatusOK {
			t.Errorf("in the place of one that left a stream was answered %d", third.code)
		}
		w.ours.Close()
		<-second.done
		<-third.done
	})
}

// TestSnapshotsThatNobodyReadsAreCounted: each version that is held counts once, however many send it; what there is no room for ends
// a stream, is counted, and is told; and all is given back.
func TestSnapshotsThatNobodyReadsAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		size := int64(len(shop(newWorld(t)).ask("GET", "/api/v1/graph").Body.Bytes()))
		memory := ledger.New(3*size, nil).Account("streams", 0) // two versions with what slices have to spare, not three
		w := shop(newWorld(t, func(p *plan) { p.streams = memory }))
		var stalled []*listener
		stall := func() {
			gate := make(chan struct{})
			l := w.follow(gate)
			stalled = append(stalled, l)
			gate <- struct{}{} // retry; the snapshot is never read
			synctest.Wait()
		}
		stall()
		one := memory.Used()
		stall()
		if used := memory.Used(); one < size || used != one {
			t.Errorf("one version of %d bytes counts as %d for one stream and %d for two", size, one, used)
		}
		ended := func() float64 { return w.counter(t, "binnacle_api_stream_ended_total", "reason", "memory") }
		for i := uint64(1); ended() == 0 && i < 10; i++ {
			w.live.set(apitest.ShopGraph(7000+i, 1))
			time.Sleep(deltaInterval)
			l := w.follow(make(chan struct{}, 10))
			l.gate <- struct{}{}
			synctest.Wait()
			stalled = append(stalled, l)
		}
		last := stalled[len(stalled)-1]
		if ended() != 1 {
			t.Fatalf("%v streams ended for want of memory, want 1; %d bytes are held", ended(), memory.Used())
		}
		for _, l := range stalled {
			close(l.gate)
		}
		synctest.Wait()
		<-last.done
		if text := last.take(); !strings.Contains(text, "event: end\n") || strings.Contains(text, "event: snapshot\n") {
			t.Errorf("it was told:\n%s", text)
		}
		w.ours.Close()
		for _, l := range stalled {
			<-l.done
		}
		if rec := w.ask("GET", "/api/v1/graph"); rec.Code != http.StatusOK || memory.Used() > memory.Limit() {
			t.Errorf("after all the graph is answered %d", rec.Code)
		}
		w.live.set(apitest.ShopGraph(9000, 1))
		w.ask("GET", "/api/v1/graph")
		if used := memory.Used(); used != 0 {
			t.Errorf("all streams have ended, and %d bytes are held", used)
		}
	})
}
