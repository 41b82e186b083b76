package api_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/binnacle-mesh/binnacle/internal/ledger"
)

// post asks a question by POST, of which the body comes as it comes.
func (w *world) post(body io.Reader) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "/api/v1/query", body)
	r.Host = "localhost"
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	rec := httptest.NewRecorder()
	w.api.ServeHTTP(rec, r)
	return rec
}

func asks(p *plan) {
	p.prometheus = &asked{serve: func(w http.ResponseWriter) { _, _ = io.WriteString(w, "{}") }}
}

// A question whose body stands still takes none of the places, nor of its own time: the one that comes whole meanwhile is answered, and
// so is the slow one in the end.
func TestBodiesThatStandStillTakeNoPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, asks, func(p *plan) {
			p.cfg.MaxConcurrentQueries, p.cfg.MaxWaitingQueries, p.cfg.RequestTimeout = 1, 1, 10*time.Second
		})
		var slow sync.WaitGroup
		var ends []*io.PipeWriter
		for range 10 {
			in, out := io.Pipe()
			ends = append(ends, out)
			slow.Go(func() {
				if rec := w.post(in); rec.Code != http.StatusOK {
					t.Errorf("a body that came at last was answered %d %s", rec.Code, rec.Body)
				}
			})
			_, _ = io.WriteString(out, "query=")
		}
		time.Sleep(20 * time.Second)
		if rec := w.post(strings.NewReader("query=up")); rec.Code != http.StatusOK {
			t.Errorf("beside bodies that stand still a question was answered %d %s", rec.Code, rec.Body)
		}
		for _, out := range ends { // one after the other: one place, and one that waits
			_, _ = io.WriteString(out, "up")
			_ = out.Close()
			synctest.Wait()
		}
		slow.Wait()
	})
}

// What has come of bodies is counted, in an account of its own that is empty when they are answered; small ones need none of it.
func TestBodiesAreCounted(t *testing.T) {
	t.Parallel()
	account := ledger.New(1<<20, nil).Account("bodies", 100_000)
	w := newWorld(t, asks, func(p *plan) { p.deps.Bodies = account })
	in, out := io.Pipe()
	first := make(chan *httptest.ResponseRecorder)
	go func() { first <- w.post(in) }()
	_, _ = out.Write([]byte("query=" + strings.Repeat("x", 40_000))) // the last Read of it has been begun
	if held := account.Used(); held < 40_000 || held > 100_000 {
		t.Errorf("for 40,006 bytes the account holds %d", held)
	}
	for length, want := range map[int]int{100: http.StatusOK, 8000: http.StatusOK, 50_000: http.StatusServiceUnavailable, 1<<20 + 1: http.StatusRequestEntityTooLarge} {
		rec := w.post(strings.NewReader("query=" + strings.Repeat("x", length)))
		if rec.Code != want {
			t.Errorf("beside it one of %d bytes is answered %d %s, want %d", length, rec.Code, rec.Body, want)
		}
		if want != http.StatusOK && rec.Header().Get("Connection") != "close" {
			t.Errorf("after a body of %d bytes that was not read the connection is used again", length)
		}
	}
	_ = out.Close()
	if rec := <-first; rec.Code != http.StatusOK || account.Used() != 0 {
		t.Errorf("the first is answered %d, and the account holds %d", rec.Code, account.Used())
	}
}

// Bodies that cannot be read are refused with what was wrong.
func TestBodiesThatCannotBeRead(t *testing.T) {
	t.Parallel()
	w := newWorld(t, asks)
	for name, c := range map[string]struct {
		body io.Reader
		code int
		says string
	}{
		"too large, and says so":   {strings.NewReader(strings.Repeat("x", 1<<20+1)), http.StatusRequestEntityTooLarge, "1048577 bytes, the limit is 1048576"},
		"too large, and does not":  {io.MultiReader(strings.NewReader(strings.Repeat("x", 1<<20)), strings.NewReader("x")), http.StatusRequestEntityTooLarge, "more than the 1048576"},
		"too slow":                 {broken{os.ErrDeadlineExceeded}, http.StatusRequestTimeout, "8192 bytes a second"},
		"a connection that breaks": {broken{io.ErrUnexpectedEOF}, http.StatusBadRequest, "unexpected EOF"},
	} {
		rec := w.post(c.body)
		if rec.Code != c.code || !strings.Contains(rec.Body.String(), c.says) {
			t.Errorf("%s: %d %s", name, rec.Code, rec.Body)
		}
	}
}

type broken struct{ err error }

func (b broken) Read([]byte) (int, error) { return 0, b.err }
