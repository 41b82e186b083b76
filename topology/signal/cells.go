package signal

import (
	"encoding/binary"
	"math/bits"
	"slices"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// The problem: a row takes 80 bytes, and an accumulator has some twenty of them. Of fifty thousand edges most are called less than once a
// second; nearly all of their rows is zero.
//
// The form: what has counted little keeps no rows, but a list of the columns that are not zero: cells, of two bytes each. One is the row's id, the other the
// column and how many requests it counts, one to four; what counts more has several. There are none of requests: they are the sum of the
// buckets. Beyond mostCells it becomes rows, and cells again when little is left, which is looked at whenever the longest window slides.
//
// Invariant: the two forms count the same in each column of each row, are saved as the same bytes, and answer the same.
//
// Not chosen: a list of the requests themselves (as many bytes, and a checkpoint, which knows rows, could not be read back into it); rows of
// still narrower counters (20 rows of 40 bytes are four times this).

const (
	// mostCells is how many cells there are at most.
	mostCells = 160
	// fewCells is with how many at most rows become cells again.
	fewCells = 112
	// cellsRoom is how many may come with one request: four rows, of four columns each.
	cellsRoom = 4 * Windows
	// cellsGrow is by how many bytes the list grows.
	cellsGrow = 32

	cellBytes = 2
	perCell   = 4 // requests that a cell counts at most
)

// A cell is as in Acc.ids: the id of a row, then column*perCell + requests - 1.
func cellOf(column uint8, requests int) byte { return column*perCell + byte(requests-1) } //nolint:gosec // below 256

func cellColumn(c byte) uint8    { return c / perCell }
func cellRequests(c byte) uint64 { return uint64(c%perCell) + 1 }

// columnsOf are the columns of window w, a bit each.
func columnsOf(w Window) uint64 {
	l := levels[w]
	return (1<<l.slots - 1) << l.first
}

// addCells counts a sample as add does, where there are no rows. It returns false, and has done nothing, where rows are needed; they are there then.
func (a *Acc) addCells(s Sample, cols []uint8, sign int32) bool {
	if sign > 0 && len(a.ids) > cellBytes*(mostCells-cellsRoom) {
		a.spread()
		return false
	}
	var set uint64
	for _, c := range cols {
		set |= 1 << c
	}
	count := func(id byte) {
		if sign > 0 {
			a.countCells(id, set)
		} else {
			a.takeCells(id, set)
		}
	}
	count(byte(counters + s.Bucket)) //nolint:gosec // below 256
	switch s.Outcome {
	case telemetry.OutcomeError:
		count(rowErrors)
	case telemetry.OutcomeThrottled:
		count(rowThrottled)
	default:
	}
	if s.TLS != telemetry.TLSUnknown {
		count(rowSecured)
		if s.TLS == telemetry.TLSMutual {
			count(rowMutual)
		}
	}
	a.total.add(s, uint64(int64(sign))) //nolint:gosec // two's complement: adding -1
	return true
}

// countCells counts one more in some columns of a row.
func (a *Acc) countCells(id byte, set uint64) {
	for i := len(a.ids) - cellBytes; i >= 0 && set != 0; i -= cellBytes { // what is new is last
		if a.ids[i] != id {
			continue
		}
		if c := a.ids[i+1]; set>>cellColumn(c)&1 != 0 && c%perCell != perCell-1 {
			a.ids[i+1]++
			set &^= 1 << cellColumn(c)
		}
	}
	for ; set != 0; set &= set - 1 {
		a.newCell(id, cellOf(uint8(bits.TrailingZeros64(set)), 1)) //nolint:gosec // below 64
	}
}

// takeCells counts one less in some columns of a row.
func (a *Acc) takeCells(id byte, set uint64) {
	for i := len(a.ids) - cellBytes; i >= 0 && set != 0; i -= cellBytes {
		c := a.ids[i+1]
		if a.ids[i] != id || set>>cellColumn(c)&1 == 0 {
			continue
		}
		set &^= 1 << cellColumn(c)
		if c%perCell > 0 {
			a.ids[i+1]--
		} else {
			a.ids = slices.Delete(a.ids, i, i+cellBytes)
		}
	}
	if len(a.ids) == 0 {
		a.ids = nil
	}
}

func (a *Acc) newCell(id, c byte) {
	if len(a.ids) == cap(a.ids) {
		a.ids = append(make([]byte, 0, len(a.ids)+cellsGrow), a.ids...)
	}
	a.ids = append(a.ids, id, c)
}

// put adds n to one column of a row, in whichever form there is room for.
func (a *Acc) put(id byte, column uint8, n uint32) {
	if len(a.rows) == 0 {
		if len(a.ids)/cellBytes+int(min(n, mostCells*perCell)+perCell-1)/perCell <= mostCells {
			for ; n > 0; n -= min(n, perCell) {
				a.newCell(id, cellOf(column, int(min(n, perCell))))
			}
			return
		}
		a.spread()
	}
	a.pour(id, column, n)
	if id >= counters {
		a.pour(rowRequests, column, n)
	}
}

// spread has cells become rows.
func (a *Acc) spread() {
	cells := a.ids
	a.ids, a.rows = nil, nil
	a.newRow(rowRequests)
	for i := 0; i < len(cells); i += cellBytes {
		a.put(cells[i], cellColumn(cells[i+1]), uint32(cellRequests(cells[i+1]))) //nolint:gosec // at most four
	}
}

// fold has rows become cells, if they are few.
func (a *Acc) fold(most int) {
	n := 0
	for i, id := range a.ids {
		if id == rowRequests {
			continue
		}
		for _, v := range a.rows[i] {
			n += (int(v) + perCell - 1) / perCell
		}
		if n > most {
			return
		}
	}
	ids, rows := a.ids, a.rows
	a.ids, a.rows = nil, nil
	if n > 0 {
		a.ids = make([]byte, 0, cellBytes*n+cellsGrow/2)
	}
	for i, id := range ids {
		if id == rowRequests {
			continue
		}
		for c, v := range rows[i] {
			if v > 0 {
				a.put(id, uint8(c), uint32(v)) //nolint:gosec // below 40
			}
		}
	}
}

// clearCells drops what some columns count.
func (a *Acc) clearCells(set uint64) {
	kept := 0
	for i := 0; i < len(a.ids); i += cellBytes {
		if set>>cellColumn(a.ids[i+1])&1 != 0 {
			continue
		}
		if kept != i {
			a.ids[kept], a.ids[kept+1] = a.ids[i], a.ids[i+1]
		}
		kept += cellBytes
	}
	if a.ids = a.ids[:kept]; kept == 0 {
		a.ids = nil
	}
}

// advanceCells is Advance where there are no rows.
func (a *Acc) advanceCells(tick int64) {
	var set uint64
	for _, l := range levels {
		from, to := a.last/l.width, tick/l.width
		if to-from >= l.slots {
			set |= (1<<l.slots - 1) << l.first
			continue
		}
		for slot := from + 1; slot <= to; slot++ {
			set |= 1 << (int64(l.first) + slot%l.slots)
		}
	}
	a.clearCells(set)
}

// cellSum is how many requests the cells of some columns count.
func (a *Acc) cellSum(set uint64) (n uint64) {
	for i := 0; i < len(a.ids); i += cellBytes {
		if c := a.ids[i+1]; a.ids[i] >= counters && set>>cellColumn(c)&1 != 0 {
			n += cellRequests(c)
		}
	}
	return n
}

// cellSums is what the cells of some columns count.
func (a *Acc) cellSums(set uint64) (s Sums) {
	for i := 0; i < len(a.ids); i += cellBytes {
		c := a.ids[i+1]
		if set>>cellColumn(c)&1 == 0 {
			continue
		}
		switch n := cellRequests(c); a.ids[i] {
		case rowErrors:
			s.Errors += n
		case rowThrottled:
			s.Throttled += n
		case rowSecured:
			s.Secured += n
		case rowMutual:
			s.Mutual += n
		default:
			s.Requests += n
		}
	}
	return s
}

// cellsIn is In of the cells of some columns.
func (a *Acc) cellsIn(set uint64, slow, slower int) (t Taken) {
	for i := 0; i < len(a.ids); i += cellBytes {
		c := a.ids[i+1]
		if set>>cellColumn(c)&1 == 0 {
			continue
		}
		n := cellRequests(c)
		switch id := a.ids[i]; {
		case id >= counters:
			t.Requests += n
			t.count(int(id-counters), slow, slower, n)
		case id == rowErrors:
			t.Errors += n
		case id == rowThrottled:
			t.Throttled += n
		default:
		}
	}
	return t
}

// appendCells writes the cells as the rows that they stand for.
func (a *Acc) appendCells(dst []byte) []byte {
	var memory [mostCells]uint16 // id and column and requests, so that a row's follow each other
	cells, requests := memory[:0], wide{}
	for i := 0; i < len(a.ids); i += cellBytes {
		id, c := a.ids[i], a.ids[i+1]
		cells = append(cells, uint16(id)<<8|uint16(c))
		if id >= counters {
			requests[cellColumn(c)] += uint32(cellRequests(c)) //nolint:gosec // at most four
		}
	}
	slices.Sort(cells)
	rows, last := uint64(0), uint16(rowRequests)
	if requests != (wide{}) {
		rows++
	}
	for _, c := range cells {
		if c>>8 != last {
			rows, last = rows+1, c>>8
		}
	}
	dst = binary.AppendUvarint(dst, rows)
	if requests != (wide{}) {
		dst = requests.append(dst, rowRequests)
	}
	for len(cells) > 0 {
		id, r := byte(cells[0]>>8), wide{}
		for len(cells) > 0 && byte(cells[0]>>8) == id {
			c := byte(cells[0] & 0xff)
			r[cellColumn(c)] += uint32(cellRequests(c)) //nolint:gosec // at most four
			cells = cells[1:]
		}
		dst = r.append(dst, id)
	}
	return dst
}
