package topology

import (
	"encoding/binary"
	"errors"

	"github.com/binnacle-mesh/binnacle/topology/pair"
)

var (
	errTruncated = errors.New("it ends in the middle of a value")
	errNonsense  = errors.New("it holds a value that makes no sense")
)

type loader struct {
	t       *Topology
	b       []byte
	err     error
	version byte
	// counted is how many halves lie on each edge, by place.
	counted [][slots]uint64
	spilled []pair.Half
}

func (l *loader) fail(err error) {
	if l.err == nil {
		l.err = err
	}
	l.b = nil
}

func (l *loader) uint() uint64 {
	v, n := binary.Uvarint(l.b)
	if n <= 0 {
		l.fail(errTruncated)
		return 0
	}
	l.b = l.b[n:]
	return v
}

func (l *loader) int() int64 {
	v, n := binary.Varint(l.b)
	if n <= 0 {
		l.fail(errTruncated)
		return 0
	}
	l.b = l.b[n:]
	return v
}

func (l *loader) bytes(n uint64) []byte {
	if n > uint64(len(l.b)) {
		l.fail(errTruncated)
		return nil
	}
	v := l.b[:n]
	l.b = l.b[n:]
	return v
}

func (l *loader) byte(limit uint8) uint8 {
	v := l.bytes(1)
	if l.err != nil {
		return 0
	}
	if v[0] > limit {
		l.fail(errNonsense)
		return 0
	}
	return v[0]
}

func (l *loader) bool() bool  { return l.byte(1) == 1 }
func (l *loader) str() string { return string(l.bytes(l.uint())) }

// index reads a number from least up to, not including, n.
func (l *loader) index(least, n int) uint32 {
	v := l.uint()
	if v < uint64(least) || v >= uint64(n) { //nolint:gosec // not negative
		l.fail(errNonsense)
		return 0
	}
	return uint32(v) //nolint:gosec // below n
}

// count reads how many things follow, of at least size bytes each.
func (l *loader) count(size int) int {
	n := l.uint()
	if n > uint64(len(l.b)/size) { //nolint:gosec // not negative
		l.fail(errTruncated)
		return 0
	}
	return int(n) //nolint:gosec // bounded by the bytes there are
}
