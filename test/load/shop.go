package load

import (
	"fmt"
	"math/rand/v2"
	"slices"
)

// A Shop is an application of many services that call one another, without circles: those in front call those behind them.
// Every third service also asks a database, which is an edge more than the shop's number of edges says.
type Shop struct {
	services []service
	entries  int // the first so many are called from outside
}

type service struct {
	name     string
	calls    []call
	database string // its system, or none
}

type call struct {
	to  int
	rpc bool // gRPC, otherwise HTTP
}

const (
	instances  = 3 // of each service
	operations = 6 // of each service
)

// NewShop makes a shop of so many services and edges between them. Each service behind the entries is called by one at least, so
// that there are never fewer edges than that, and never more than the services have pairs.
func NewShop(services, edges int) *Shop {
	services = max(2, services)
	chance := rand.New(rand.NewPCG(40, 120)) //nolint:gosec // a load's chance
	s := &Shop{services: make([]service, services), entries: max(1, services/13)}
	systems := [...]string{"postgresql", "redis", "mysql"}
	for i := range s.services {
		s.services[i].name = Service(i)
		if i >= s.entries && i%3 == 2 {
			s.services[i].database = systems[i%len(systems)]
		}
	}
	n := 0
	connect := func(from, to int) {
		calls := &s.services[from].calls
		if from < to && to >= s.entries && !slices.ContainsFunc(*calls, func(c call) bool { return c.to == to }) {
			*calls = append(*calls, call{to, chance.IntN(5) < 3})
			n++
		}
	}
	for to := s.entries; to < services; to++ {
		connect(chance.IntN(max(s.entries, min(to, 4*to/5))), to)
	}
	pairs := services*(services-1)/2 - s.entries*(s.entries-1)/2
	for n < min(edges, pairs) {
		connect(chance.IntN(services), chance.IntN(services))
	}
	return s
}

// Service is the name of service i of any shop.
func Service(i int) string { return fmt.Sprintf("stall-%02d", i) }

// Edges counts the edges between services.
func (s *Shop) Edges() (n int) {
	for i := range s.services {
		n += len(s.services[i].calls)
	}
	return n
}
