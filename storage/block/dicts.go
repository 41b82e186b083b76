package block

import "sync/atomic"

// dicts are the small dictionaries of an open file, decoded: services, methods, codes, versions. Each lookup of a trace needs nearly
// all of them, and decoding them was a fifth of what it cost. Large ones (paths, ids) are decoded anew each time.
//
// A dictionary never changes once it is there, so readers share it. The bound holds for each open file: of 128, the default of
// max_open_files, 16 MiB are kept at most. It is safe for concurrent use.
type dicts struct {
	byColumn []atomic.Pointer[values]
	bytes    atomic.Int64
}

const (
	maxKeptDict  = 16 << 10  // bytes of a dictionary that is kept
	maxKeptDicts = 128 << 10 // of all of a file
)

func (d *dicts) of(column int) *values { return d.byColumn[column].Load() }

// keep keeps v for the next reader, if it is small and there is room.
func (d *dicts) keep(column int, v *values) {
	size := int64(cap(v.data) + 4*cap(v.ends) + 8*cap(v.ints))
	if size > maxKeptDict {
		return
	}
	if d.bytes.Add(size) > maxKeptDicts || !d.byColumn[column].CompareAndSwap(nil, v) {
		d.bytes.Add(-size)
	}
}
