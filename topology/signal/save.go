package signal

import (
	"encoding/binary"
	"errors"
	"math/bits"
	"slices"
)

// ErrEncoding says that bytes are no accumulator.
var ErrEncoding = errors.New("not an accumulator's encoding")

// Append writes the accumulator: totals, tick, and each row as a bit for each
// column that is not zero, then those. Equal accumulators are equal bytes.
func (a *Acc) Append(dst []byte) []byte {
	for _, v := range [...]uint64{a.total.Requests, a.total.Errors, a.total.Throttled, a.total.Secured, a.total.Mutual, uint64(a.last)} { //nolint:gosec // not negative
		dst = binary.AppendUvarint(dst, v)
	}
	order := make([]int, 0, len(a.ids))
	for i := range a.ids {
		if a.rows[i] != (row{}) {
			order = append(order, i)
		}
	}
	slices.SortFunc(order, func(i, j int) int { return int(a.ids[i]) - int(a.ids[j]) })
	dst = binary.AppendUvarint(dst, uint64(len(order)))
	for _, i := range order {
		dst = append(dst, a.ids[i])
		var set uint64
		for c, n := range a.rows[i] {
			if n != 0 {
				set |= 1 << c
			}
		}
		dst = binary.AppendUvarint(dst, set)
		for _, n := range a.rows[i] {
			if n != 0 {
				dst = binary.AppendUvarint(dst, uint64(n))
			}
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
	for i := range rows {
		if len(b) == 0 {
			return nil, ErrEncoding
		}
		id := b[0]
		b = b[1:]
		if i > 0 && id <= a.ids[len(a.ids)-1] {
			return nil, ErrEncoding
		}
		if i == 0 && id != rowRequests {
			a.row(rowRequests)
		}
		r := a.row(id)
		set := read()
		if set>>columns != 0 {
			return nil, ErrEncoding
		}
		for ; set != 0; set &= set - 1 {
			r[bits.TrailingZeros64(set)] = uint32(read()) //nolint:gosec // as it was written
		}
		if err != nil {
			return nil, err
		}
	}
	return b, nil
}
