package health

import (
	"encoding/binary"
	"errors"
	"math"

	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/telemetry/baseline"
)

// ErrEncoding says that bytes are no watch.
var ErrEncoding = errors.New("not a watch's encoding")

// Append writes the watch. Equal watches are equal bytes.
func (w *Watch) Append(dst []byte) []byte {
	for _, v := range w.times() {
		dst = binary.AppendVarint(dst, *v)
	}
	flags := byte(w.Kind) << 2
	if w.Severe {
		flags |= 1
	}
	if w.base != nil {
		flags |= 2
	}
	dst = append(dst, flags)
	for _, f := range w.now.all() {
		dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(*f))
	}
	if w.base != nil {
		dst = w.base.Append(dst)
	}
	return dst
}

func (f *Now) all() [5]*float64 {
	return [...]*float64{&f.Rate, &f.P90, &f.Mean, &f.Errors, &f.Throttled}
}

func (w *Watch) times() [7]*int64 {
	return [...]*int64{&w.At, &w.Since, &w.suspected, &w.silent, &w.unwell, &w.sampled, &w.first}
}

// Read reads what Append wrote into an empty watch, and returns what follows.
func (w *Watch) Read(b []byte) (rest []byte, err error) {
	for _, v := range w.times() {
		at, n := binary.Varint(b)
		if n <= 0 || at < 0 {
			return nil, ErrEncoding
		}
		*v, b = at, b[n:]
	}
	if len(b) == 0 || telemetry.Ailment(b[0]>>2) > telemetry.AilmentCutOff {
		return nil, ErrEncoding
	}
	w.Kind, w.Severe = telemetry.Ailment(b[0]>>2), b[0]&1 != 0
	based := b[0]&2 != 0
	b = b[1:]
	for _, f := range w.now.all() {
		if len(b) < 8 {
			return nil, ErrEncoding
		}
		if *f = math.Float64frombits(binary.LittleEndian.Uint64(b)); !(*f >= 0 && *f <= math.MaxFloat64) {
			return nil, ErrEncoding
		}
		b = b[8:]
	}
	if !based {
		return b, nil
	}
	w.base = new(baseline.Baseline)
	return w.base.Read(b, w.At/1e9)
}

// Merge takes over what o has learned, where that is more.
func (w *Watch) Merge(o *Watch) {
	switch {
	case o.base == nil:
	case w.base == nil:
		w.base = o.base
	default:
		w.base.Merge(o.base)
	}
}
