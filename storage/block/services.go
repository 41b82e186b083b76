package block

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/binnacle-mesh/binnacle/internal/disk"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

// maxListed is how many blocks of an earlier run are read for the table.
const maxListed = 64

// addHead adds the operations of a head, as add does.
func (o *operations) addHead(h *head) (services, names int) {
	v := h.view()
	known := map[uint64]int{}
	for row := range v.spans.n {
		c, i := v.spans.chunks[row/chunkRows], row%chunkRows
		known[uint64(c.resource[i])<<40^uint64(c.name[i])<<4^uint64(c.bits[i]&15)]++
	}
	seen := make(sightings, len(known))
	for key, rows := range known {
		id := &v.resources[key>>40].identity
		*seen.of(serviceName{string(v.strings.bytes(id[colService-colCluster])), string(v.strings.bytes(id[colNamespace-colCluster]))},
			operation{string(v.strings.bytes(uint32(key >> 4 & math.MaxUint32))), telemetry.SpanKind(key & 15)}) += rows
	}
	return o.add(seen, &v.meta)
}

// Services is the services and their operations that this store has taken in since it
// was opened, or holds in its newest blocks, by name: as many as the table has room for, see operations.
func (s *Store) Services(ctx context.Context) ([]telemetry.ServiceEntry, error) {
	sn := s.snapshot()
	defer sn.done()
	for _, h := range sn.heads {
		s.ops.addHead(h)
	}
	if err := s.listBlocks(ctx, sn.blocks); err != nil {
		return nil, fmt.Errorf("services: %w", err)
	}
	return s.ops.entries(), nil
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
			if disk.Failed(err) { // it is tried again by the next question
				s.mu.Lock()
				b.listed = false
				s.mu.Unlock()
			}
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
	seen, known := sightings{}, map[[4]int32]*int{}
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
			rows := known[key]
			if rows == nil || !coded {
				kind := max(0, slices.Index(spanKindNames(), string(text[3])))
				rows = seen.of(serviceName{string(text[0]), string(text[1])}, operation{string(text[2]), telemetry.SpanKind(kind)})
				if coded {
					known[key] = rows
				}
			}
			*rows++
		}
	}
	s.ops.count(s.ops.add(seen, &b.meta))
	return nil
}
