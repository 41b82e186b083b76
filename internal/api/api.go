package api

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/binnacle-mesh/binnacle/internal/ask"
	"github.com/binnacle-mesh/binnacle/internal/door"
	"github.com/binnacle-mesh/binnacle/internal/ledger"
)

// Deps is what the web port is made of. Every field but Memory, Bodies, Questions and Now must be set.
type Deps struct {
	// Dialects is every query API that is served, in the order in which a conflict is told.
	Dialects []Mounted
	// Door says who may ask.
	Door *door.Rules
	// Questions counts what searches hold and lets them compute in turn. Without one nothing is counted, and nobody waits.
	Questions *ask.Desk
	// Ready is nil when the server can do its work, or says what it waits for.
	Ready func() error
	// Reload reads the configuration again. It returns what encoding/json writes as
	// docs/api/http.md says; its error says why the old one stays.
	Reload     func(context.Context) (any, error)
	Web        fs.FS // the web view, index.html at its root
	Logger     *slog.Logger
	Registerer prometheus.Registerer // for this package's own metrics
	Gatherer   prometheus.Gatherer   // what /metrics shows
	// Memory is where answers count while they are sent; nil counts nothing.
	Memory *ledger.Account
	// Bodies is where the bodies of requests count; nil counts nothing.
	Bodies *ledger.Account
	Now    func() time.Time // time.Now when nil
}

// An API is the web port's handler.
type API struct {
	cfg      Config
	deps     Deps
	log      *slog.Logger
	now      func() time.Time
	metrics  *metrics
	mux      *http.ServeMux
	patterns []string // all that is served but the web view
	web      *webView
	gzips    sync.Pool // of *gzip.Writer
}

// New is the web port's handler. It fails where two dialects claim one path.
func New(cfg Config, deps Deps) (*API, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("api: %w", err)
	}
	if err := deps.check(); err != nil {
		return nil, fmt.Errorf("api: %w", err)
	}
	m, err := newMetrics(deps.Registerer)
	if err != nil {
		return nil, err
	}
	web, err := newWebView(deps.Web)
	if err != nil {
		return nil, fmt.Errorf("api: %w", err)
	}
	a := &API{
		cfg: cfg, deps: deps, log: deps.Logger, now: deps.Now, metrics: m, web: web,
		mux: http.NewServeMux(),
	}
	if a.now == nil {
		a.now = time.Now
	}
	return a, a.register()
}

func (d *Deps) check() error {
	for _, f := range []struct {
		name string
		set  bool
	}{
		{"Dialects", len(d.Dialects) > 0},
		{"Door", d.Door != nil},
		{"Ready", d.Ready != nil},
		{"Reload", d.Reload != nil},
		{"Web", d.Web != nil},
		{"Logger", d.Logger != nil},
		{"Registerer", d.Registerer != nil},
		{"Gatherer", d.Gatherer != nil},
	} {
		if !f.set {
			return errors.New("Deps." + f.name + " is not set")
		}
	}
	return nil
}
