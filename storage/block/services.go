package block

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/prometheus/client_golang/prometheus"
)

const (
	// maxOperations bounds the table of services, whose keys senders choose.
	maxOperations = 20_000
	// maxListed is how many blocks of an earlier run are read for the table.
	maxListed = 64
)

// operation is a key of the table.
type operation struct {
	service, namespace, name string
	kind                     telemetry.SpanKind
}

// operations is the services and operations that were stored lately.
type operations struct {
	mu   sync.Mutex
	seen map[operation]int64 // when last, by the log's clock

	dropped prometheus.Counter // those that found no room
}

func newOperations() *operations {
	return &operations{seen: map[operation]int64{}, dropped: prometheus.NewCounter(prometheus.CounterOpts{
		Name: "binnacle_block_operations_dropped_total", Help: "Operations that the list of services had no room for, each once a block.",
	})}
}

func (o *operations) add(op operation, at int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if last, ok := o.seen[op]; ok || len(o.seen) < maxOperations {
		o.seen[op] = max(last, at)
	} else {
		o.dropped.Inc()
	}
}

// forget drops what was last seen before the age.
func (o *operations) forget(now time.Time, age time.Duration) {
	if age == 0 {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for op, at := range o.seen {
		if now.UnixNano()-at > int64(age) {
			delete(o.seen, op)
		}
	}
}

// addHead adds the operations of a head.
func (o *operations) addHead(h *head) {
	v := h.view()
	known := map[uint64]struct{}{}
	for row := range v.spans.n {
		c, i := v.spans.chunks[row/chunkRows], row%chunkRows
		key := uint64(c.resource[i])<<40 ^ uint64(c.name[i])<<4 ^ uint64(c.bits[i]&15)
		if _, ok := known[key]; ok {
			continue
		}
		known[key] = struct{}{}
		id := &v.resources[c.resource[i]].identity
		o.add(operation{
			service: string(v.strings.bytes(id[colService-colCluster])), namespace: string(v.strings.bytes(id[colNamespace-colCluster])),
			name: string(v.strings.bytes(c.name[i])), kind: telemetry.SpanKind(c.bits[i] & 15),
		}, v.meta.receivedMax)
	}
}

// Services is the services and their operations that this store has taken in since it
// was opened, or holds in its newest blocks: at most 20,000 operations, by name.
func (s *Store) Services(ctx context.Context) ([]telemetry.ServiceEntry, error) {
	sn := s.snapshot()
	defer sn.done()
	for _, h := range sn.heads {
		s.ops.addHead(h)
	}
	if err := s.listBlocks(ctx, sn.blocks); err != nil {
		return nil, fmt.Errorf("services: %w", err)
	}
	s.ops.mu.Lock()
	defer s.ops.mu.Unlock()
	return entries(s.ops.seen), nil
}

// entries puts the table in order.
func entries(seen map[operation]int64) []telemetry.ServiceEntry {
	ops := slices.SortedFunc(maps.Keys(seen), func(a, b operation) int {
		return cmp.Or(cmp.Compare(a.service, b.service), cmp.Compare(a.namespace, b.namespace), cmp.Compare(a.name, b.name), cmp.Compare(a.kind.String(), b.kind.String()))
	})
	out := []telemetry.ServiceEntry{}
	for _, op := range ops {
		if n := len(out); n == 0 || out[n-1].Name != op.service || out[n-1].Namespace != op.namespace {
			out = append(out, telemetry.ServiceEntry{Name: op.service, Namespace: op.namespace})
		}
		e := &out[len(out)-1]
		o := telemetry.OperationEntry{Name: op.name, Kind: op.kind.String()}
		if n := len(e.Operations); n == 0 || e.Operations[n-1] != o {
			e.Operations = append(e.Operations, o)
		}
	}
	return out
}

// listBlocks reads the operations of the newest blocks that this process has not
// written.
func (s *Store) listBlocks(ctx context.Context, blocks []*blockRef) error {
	for _, b := range slices.Backward(blocks[max(0, len(blocks)-maxListed):]) {
		if err := ctx.Err(); err != nil {
			return err
		}
		s.mu.Lock()
		listed := b.listed
		b.listed = true
		s.mu.Unlock()
		if listed || b.meta.spans == 0 {
			continue
		}
		if err := s.listBlock(b); err != nil {
			s.damage(b, err)
		}
	}
	return nil
}

func (s *Store) listBlock(b *blockRef) (err error) {
	defer guard(&err)
	r, err := s.read(b, spansFile, spanColumns())
	if err != nil {
		return err
	}
	defer r.close()
	known := map[[4]int32]struct{}{}
	for p := range r.f.bounds {
		var views [4]*pageView
		for i, col := range [...]int{colService, colNamespace, colName, colKind} {
			if r.f.byID[col] < 0 {
				return fmt.Errorf("it has no column %s", spanColumns()[col].name)
			}
			if views[i], err = r.load(r.f.byID[col], p); err != nil {
				return err
			}
		}
		for row := range r.f.pageLen(p) {
			var key [4]int32
			var text [4][]byte
			coded := true
			for i, v := range views {
				pos := v.pos(row)
				switch {
				case pos < 0:
					key[i] = -1
				case v.indexes == nil:
					coded = false
					text[i] = v.textAt(pos)
				default:
					key[i], text[i] = v.indexes[pos], v.textAt(pos)
				}
			}
			if coded {
				if _, ok := known[key]; ok {
					continue
				}
				known[key] = struct{}{}
			}
			kind := max(0, slices.Index(spanKindNames(), string(text[3])))
			s.ops.add(operation{string(text[0]), string(text[1]), string(text[2]), telemetry.SpanKind(kind)}, b.meta.receivedMax)
		}
	}
	return nil
}
