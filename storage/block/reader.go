package block

import (
	"bytes"
	"fmt"
	"path/filepath"
	"sort"

	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/cespare/xxhash/v2"
	"github.com/parquet-go/parquet-go/bloom"
)

// reader reads one file of a block for one question. It keeps the last page of each
// column and the dictionaries, so questions are best asked in the order of rows.
type reader struct {
	cache   *fileCache
	cf      *cachedFile
	f       *file
	filter  *bloom.SplitBlockFilter // over trace ids; nil until it is read
	scratch scratch
	columns []columnState // by index in f.columns
	spare   pageView      // arrays that a column has given back
	decoded int           // pages so far
	buffers chan buffers  // where they go at the end
}

type columnState struct {
	dict *values
	view pageView
	page int // of view, +1
}

// pageView is a page with what is needed to read any of its rows.
type pageView struct {
	values
	dict *values
	rank []int32 // of rows: where the row's value is, -1 for none; of columns with levels
}

// pos is where the value of row i is, -1 where it has none.
func (p *pageView) pos(i int) int {
	if p.levels != nil {
		return int(p.rank[i])
	}
	return i
}

// textAt is value pos of a text column.
func (p *pageView) textAt(pos int) []byte {
	if p.indexes != nil {
		return p.dict.text(int(p.indexes[pos]))
	}
	return p.text(pos)
}

// intAt is value pos of a number's column.
func (p *pageView) intAt(pos int) int64 {
	if p.indexes != nil {
		return p.dict.ints[p.indexes[pos]]
	}
	return p.ints[pos]
}

// bytesAt is value pos of an id's column.
func (p *pageView) bytesAt(pos int) []byte { return p.data[pos*p.width : (pos+1)*p.width] }

// read opens a file of a block.
func (s *Store) read(b *blockRef, name string, defs []columnDef) (*reader, error) {
	cf, err := s.files.open(filepath.Join(b.dir, name), defs)
	if err != nil {
		return nil, &fileError{name, err}
	}
	r := &reader{
		cache: s.files, cf: cf, f: cf.f, filter: b.filters.of(name).Load(), scratch: scratch{zstd: s.zstd},
		columns: make([]columnState, len(cf.f.columns)), buffers: s.buffers,
	}
	select {
	case b := <-s.buffers:
		r.scratch.stored, r.scratch.raw, r.spare = b.stored, b.raw, b.spare
	default:
	}
	return r, nil
}

// buffers are what a reader worked with, for the next one: a lookup of a trace would otherwise allocate most of what it decodes, and the
// collector run more often for it than for all else while nothing is received.
type buffers struct {
	stored, raw []byte
	spare       pageView
}

const (
	maxBuffers     = 4       // kept between readers
	maxBufferBytes = 1 << 20 // of each array kept; pages are a fraction of it
)

// close gives up the file, and all that was read from it.
func (r *reader) close() {
	r.cache.release(r.cf)
	a := &r.spare.spare
	if max(cap(r.scratch.stored), cap(r.scratch.raw), cap(r.spare.data), cap(a.data), 8*cap(r.spare.ints), 8*cap(a.ints)) > maxBufferBytes {
		return
	}
	select {
	case r.buffers <- buffers{r.scratch.stored, r.scratch.raw, r.spare}:
	default:
	}
}

// dictionary is the dictionary of column i.
func (r *reader) dictionary(i int) (*values, error) {
	st := &r.columns[i]
	if st.dict == nil {
		st.dict = r.f.dicts.of(i)
	}
	if st.dict == nil {
		d, err := r.f.dictionary(&r.scratch, &r.f.columns[i])
		if err != nil {
			return nil, err
		}
		r.f.dicts.keep(i, d)
		st.dict = d
	}
	return st.dict, nil
}

// load reads page p of column i.
func (r *reader) load(i, p int) (*pageView, error) {
	st := &r.columns[i]
	if st.page == p+1 {
		return &st.view, nil
	}
	if st.view.spare.levels == nil && st.page == 0 {
		st.view, r.spare = r.spare, pageView{}
	}
	st.page = 0
	r.decoded++
	v := &st.view.values
	err := r.f.page(&r.scratch, &r.f.columns[i], p, v)
	if err != nil {
		return nil, err
	}
	if st.view.dict, err = r.dictionary(i); err != nil {
		return nil, err
	}
	n := int32(st.view.dict.count())
	for _, x := range v.indexes {
		if x < 0 || x >= n {
			return nil, fmt.Errorf("page %d of %s: it refers to value %d of %d", p, r.f.columns[i].name, x, n)
		}
	}
	st.view.rank = st.view.rank[:0]
	at := int32(0)
	for _, l := range v.levels {
		if l&1 != 0 {
			st.view.rank = append(st.view.rank, at)
			at++
		} else {
			st.view.rank = append(st.view.rank, -1)
		}
	}
	st.page = p + 1
	return &st.view, nil
}

// giveBack lets the next column have the arrays of column i, whose page is no
// longer wanted.
func (r *reader) giveBack(i int) {
	st := &r.columns[i]
	r.spare, st.view, st.page = st.view, pageView{}, 0
	r.spare.dict = nil
}

// mayHold asks the bloom filter for a trace. One that is not in memory is read whole, since its
// checksum is that of the whole.
func (r *reader) mayHold(id *telemetry.TraceID) (ok bool, err error) {
	defer guard(&err)
	if r.filter == nil {
		if r.filter, err = r.f.readFilter(); err != nil {
			return false, err
		}
	}
	return r.filter == nil || r.filter.Check(xxhash.Sum64(id[:])), nil
}

// find says which rows, from and below to, a trace has.
func (r *reader) find(id *telemetry.TraceID) (from, to int, err error) {
	if ok, err := r.mayHold(id); err != nil || !ok {
		return 0, 0, err
	}
	bounds := r.f.bounds
	first := sort.Search(len(bounds), func(i int) bool { return bytes.Compare(bounds[i][1][:], id[:]) >= 0 })
	for p := first; p < len(bounds) && bytes.Compare(bounds[p][0][:], id[:]) <= 0; p++ {
		v, err := r.load(0, p)
		if err != nil {
			return 0, 0, err
		}
		lo := sort.Search(v.n, func(i int) bool { return bytes.Compare(v.bytesAt(i), id[:]) >= 0 })
		hi := sort.Search(v.n, func(i int) bool { return bytes.Compare(v.bytesAt(i), id[:]) > 0 })
		if lo == hi {
			break
		}
		if from == to {
			from = r.f.pageFirst(p) + lo
		}
		to = r.f.pageFirst(p) + hi
	}
	return from, to, nil
}
