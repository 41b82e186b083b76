package signal

import (
	"encoding/binary"
	"errors"
	"math/bits"
)

// ErrEncoding says that bytes are no accumulator.
var ErrEncoding = errors.New("not an accumulator's encoding")

// mostInColumn is more than any edge can have in thirty seconds, so that bytes that are none of ours make no thousands of rows.
const mostInColumn = 1 << 26

// Append writes the accumulator: totals, tick, and each row as a bit for each
// column that is not zero, then those. Equal accumulators are equal bytes.
func (a *Acc) Append(dst []byte) []byte {
	for _, v := range [...]uint64{a.total.Requests, a.total.Errors, a.total.Throttled, a.total.Secured, a.total.Mutual, uint64(a.last)} { //nolint:gosec // not negative
		dst = binary.AppendUvarint(dst, v)
	}
	if len(a.rows) == 0 {
		return a.appendCells(dst)
	}
	var rows [256]*wide
	n := uint64(0)
	for i, id := range a.ids {
		if a.rows[i] == (row{}) {
			continue
		}
		if rows[id] == nil {
			rows[id] = new(wide)
			n++
		}
		for c, v := range a.rows[i] {
			rows[id][c] += uint32(v)
		}
	}
	dst = binary.AppendUvarint(dst, n)
	for id, r := range rows {
		if r != nil {
			dst = r.append(dst, byte(id)) //nolint:gosec // below 256
		}
	}
	return dst
}

func (r *wide) append(dst []byte, id byte) []byte {
	dst = append(dst, id)
	var set uint64
	for c, n := range r {
		if n != 0 {
			set |= 1 << c
		}
	}
	dst = binary.AppendUvarint(dst, set)
	for _, n := range r {
		if n != 0 {
			dst = binary.AppendUvarint(dst, uint64(n))
		}
	}
	return dst
}

// Read reads what Append wrote into an empty accumulator, and returns what
// follows. now is the tick that the whole state has reached.
func (a *Acc) Read(b []byte, now int64) (rest []byte, err error) {
	read := func() uint64 {
		v, n := binary.Uvarint(b)
		if n <= 0 {
			err = ErrEncoding
			b = nil
			return 0
		}
		b = b[n:]
		return v
	}
	a.total = Sums{Requests: read(), Errors: read(), Throttled: read(), Secured: read(), Mutual: read()}
	last := read()
	rows := read()
	if err != nil || last > uint64(now) || rows > 256 { //nolint:gosec // not negative
		return nil, ErrEncoding
	}
	a.last = int64(last) //nolint:gosec // at most now
	before := byte(0)
	for i := range rows {
		if len(b) == 0 {
			return nil, ErrEncoding
		}
		id := b[0]
		b = b[1:]
		if i > 0 && id <= before {
			return nil, ErrEncoding
		}
		if i == 0 && id != rowRequests {
			a.newRow(rowRequests)
		}
		before = id
		a.newRow(id)
		set := read()
		if set>>columns != 0 {
			return nil, ErrEncoding
		}
		for ; set != 0; set &= set - 1 {
			n := read()
			if n > mostInColumn {
				return nil, ErrEncoding
			}
			a.pour(id, uint8(bits.TrailingZeros64(set)), uint32(n)) //nolint:gosec // bounded
		}
		if err != nil {
			return nil, err
		}
	}
	if a.Check() == nil {
		a.fold(fewCells)
	}
	return b, nil
}
