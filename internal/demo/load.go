package demo

import (
	"context"
	"io"
	"log/slog"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// flow is something that the shop's customers do.
type flow struct {
	name         string
	method, path string
	weight       int // cards in the deck
	client       string
}

func theFlows() []flow {
	return []flow{
		{name: "home", method: "GET", path: "/", weight: 4, client: "web"},
		{name: "product", method: "GET", path: "/products/{id}", weight: 5, client: "web"},
		{name: "search", method: "GET", path: "/search", weight: 4, client: "mobile"},
		{name: "cart", method: "GET", path: "/cart", weight: 2, client: "mobile"},
		{name: "add", method: "POST", path: "/cart", weight: 2, client: "web"},
		{name: "account", method: "GET", path: "/account", weight: 1, client: "mobile"},
		{name: "checkout", method: "POST", path: "/checkout", weight: 2, client: "web"},
	}
}

// Flows are the names that Config.Without may have.
func Flows() []string {
	var names []string
	for _, f := range theFlows() {
		names = append(names, f.name)
	}
	return names
}

// load is the shop's customers.
type load struct {
	gateway string // host:port
	rate    float64
	deck    []flow // customers' own while they run
	story   *story
	client  *http.Client

	// places bounds the requests in flight: when the shop is slow, customers who find no place go away. So a slow chapter
	// cannot pile up requests without end, and still arrivals do not wait for answers, which would hide the slowness.
	places  chan struct{}
	turned  atomic.Uint64 // customers who went away
	waiting sync.WaitGroup
}

func newLoad(cfg Config, gateway string, s *story) *load {
	l := &load{
		gateway: gateway, rate: cfg.Rate, story: s,
		places: make(chan struct{}, max(64, int(cfg.Rate/2))),
		client: &http.Client{
			Timeout:   15 * time.Second,
			Transport: &http.Transport{MaxIdleConnsPerHost: 512, DisableCompression: true},
		},
	}
	for _, f := range theFlows() {
		for range f.weight {
			if !slices.Contains(cfg.Without, f.name) {
				l.deck = append(l.deck, f)
			}
		}
	}
	return l
}

// run sends customers until arrivals ends, and returns when the last of them has left, or has been cut short by the end
// of visits.
func (l *load) run(arrivals, visits context.Context, log *slog.Logger) {
	defer l.client.CloseIdleConnections()
	defer l.waiting.Wait()
	var loops sync.WaitGroup
	defer loops.Wait()
	// Asked here, for customers shuffle the deck.
	searching := slices.ContainsFunc(l.deck, func(f flow) bool { return f.name == "search" })
	if len(l.deck) > 0 && l.rate > 0 {
		loops.Go(func() { l.customers(arrivals, visits) })
	}
	if searching && l.rate > 0 {
		loops.Go(func() { l.crawler(arrivals, visits) })
	}
	loops.Go(func() {
		tick := time.NewTicker(30 * time.Second)
		defer tick.Stop()
		for {
			select {
			case <-arrivals.Done():
				return
			case <-tick.C:
				if n := l.turned.Swap(0); n > 0 {
					log.Warn("load: the shop was too slow for some customers", "went_away", n)
				}
			}
		}
	})
}

// customers arrive at random around a rate that rises and falls. What they do is drawn from a deck that is shuffled anew
// each time it is used up, so that no flow stays out for long.
func (l *load) customers(arrivals, visits context.Context) {
	begin := time.Now()
	next := begin
	for dealt := 0; ; dealt++ {
		if dealt%len(l.deck) == 0 {
			rand.Shuffle(len(l.deck), func(i, j int) { l.deck[i], l.deck[j] = l.deck[j], l.deck[i] })
		}
		elapsed := next.Sub(begin).Seconds()
		tide := 1 + 0.25*math.Sin(2*math.Pi*elapsed/90)
		opening := min(1, 0.2+elapsed/5) // the first customers meet cold Envoys, each with connections to make
		next = next.Add(time.Duration(rand.ExpFloat64() / (l.rate * tide * opening) * float64(time.Second)))
		if !waitUntil(arrivals, next) {
			return
		}
		l.admit(visits, l.deck[dealt%len(l.deck)])
	}
}

// crawler searches, modestly or, in its chapter, not.
func (l *load) crawler(arrivals, visits context.Context) {
	search := flow{method: "GET", path: "/search", client: "crawler"}
	next := time.Now()
	for {
		rate := crawlerCalm
		if l.story.telling(ChapterQuota) {
			rate = crawlerGreedy
		}
		next = next.Add(time.Duration(float64(time.Second) / rate))
		if !waitUntil(arrivals, next) {
			return
		}
		l.admit(visits, search)
	}
}

func (l *load) admit(ctx context.Context, f flow) {
	select {
	case l.places <- struct{}{}:
	default:
		l.turned.Add(1)
		return
	}
	l.waiting.Go(func() {
		defer func() { <-l.places }()
		l.visit(ctx, f)
	})
}

// visit sends one request. How it ends is for the mesh to tell.
func (l *load) visit(ctx context.Context, f flow) {
	target := "http://" + l.gateway + fillPath(f.path)
	if f.path == "/search" {
		target += "?q=" + words[rand.IntN(len(words))]
	}
	request, err := http.NewRequestWithContext(ctx, f.method, target, http.NoBody)
	if err != nil {
		panic("BUG: flow " + f.name + " makes no request: " + err.Error())
	}
	request.Host = "shop.example"
	request.Header.Set(clientHeader, f.client)
	request.Header.Set("user-agent", f.client+"/1.0")
	response, err := l.client.Do(request)
	if err != nil {
		return
	}
	_, _ = io.Copy(io.Discard, response.Body) // so that the connection is used again
	response.Body.Close()
}

var words = [...]string{"compass", "sextant", "lantern", "rope", "chart", "anchor", "sailcloth", "oar"} //nolint:gochecknoglobals // immutable

// waitUntil returns at that time, or false when ctx ends first.
func waitUntil(ctx context.Context, at time.Time) bool {
	wait := time.Until(at)
	if wait <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
