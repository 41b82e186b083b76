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

// The encoding begins with a byte with which the one before it, which knew no trials, never did: that began with a zigzag varint of a
// time that is not negative, whose first byte is even.
const withTrials = 1

// The flags of a watch; bits 2 to 4 are the kind.
const (
	flagTrials = 1
	flagBase   = 2
	flagTail   = 32 // the first binaries that wrote trials never set it
)

// Append writes the watch. Equal watches are equal bytes.
func (w *Watch) Append(dst []byte) []byte {
	flags := byte(w.Kind) << 2
	if w.trials != nil {
		flags |= flagTrials
	}
	if w.base != nil {
		flags |= flagBase
	}
	if !w.tail.none() {
		flags |= flagTail
	}
	dst = append(dst, withTrials, flags)
	dst = binary.AppendVarint(dst, w.At)
	dst = binary.AppendVarint(dst, w.Since)
	for _, v := range w.times() {
		dst = binary.AppendUvarint(dst, uint64(*v))
	}
	if w.trials != nil {
		for i := range w.trials {
			dst = w.trials[i].append(dst)
		}
	}
	if !w.tail.none() {
		dst = w.tail.append(dst)
	}
	if w.base != nil {
		dst = w.base.Append(dst)
	}
	return dst
}

func (w *Watch) times() [4]*uint32 { return [...]*uint32{&w.silent, &w.heard, &w.next, &w.held} }

func (t *trial) append(dst []byte) []byte {
	dst = append(dst, t.state)
	dst = binary.AppendUvarint(dst, uint64(t.began))
	dst = binary.AppendUvarint(dst, uint64(t.asked))
	for _, f := range t.counts() {
		dst = binary.LittleEndian.AppendUint32(dst, math.Float32bits(*f))
	}
	return dst
}

func (t *trial) counts() [4]*float32 { return [...]*float32{&t.n, &t.k, &t.m, &t.j} }

// reader takes values off bytes, and remembers that there were none.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) byte() byte {
	if len(r.b) == 0 {
		r.bad = true
		return 0
	}
	v := r.b[0]
	r.b = r.b[1:]
	return v
}

// time is a varint, not negative.
func (r *reader) time() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 || v < 0 {
		r.bad = true
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) second() uint32 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 || v > math.MaxUint32 {
		r.bad = true
		return 0
	}
	r.b = r.b[n:]
	return uint32(v)
}

func (r *reader) float32() float32 {
	if len(r.b) < 4 {
		r.bad = true
		return 0
	}
	v := math.Float32frombits(binary.LittleEndian.Uint32(r.b))
	r.bad = r.bad || !(v >= 0 && v <= math.MaxFloat32)
	r.b = r.b[4:]
	return v
}

func (r *reader) float64() float64 {
	if len(r.b) < 8 {
		r.bad = true
		return 0
	}
	v := math.Float64frombits(binary.LittleEndian.Uint64(r.b))
	r.bad = r.bad || !(v >= 0 && v <= math.MaxFloat64)
	r.b = r.b[8:]
	return v
}

func (r *reader) trial(t *trial) {
	t.state, t.began, t.asked = r.byte(), r.second(), r.second()
	for _, f := range t.counts() {
		*f = r.float32()
	}
	r.bad = r.bad || t.state > ill || t.state == ill && !(t.n > 0) || t.k > t.n || t.j > t.m
}

// Read reads what Append wrote into an empty watch, and returns what follows.
func (w *Watch) Read(b []byte) (rest []byte, err error) {
	r := reader{b: b}
	var based bool
	if len(b) > 0 && b[0] == withTrials {
		based = w.read(&r)
	} else {
		based = w.readOld(&r)
	}
	if r.bad || w.Kind > telemetry.AilmentCutOff {
		return nil, ErrEncoding
	}
	if !based {
		return r.b, nil
	}
	w.base = new(baseline.Baseline)
	return w.base.Read(r.b, w.At/1e9)
}

func (w *Watch) read(r *reader) (based bool) {
	r.byte()
	flags := r.byte()
	w.Kind = telemetry.Ailment(flags >> 2 & 7)
	w.At, w.Since = r.time(), r.time()
	for _, v := range w.times() {
		*v = r.second()
	}
	if flags&flagTrials != 0 {
		w.trials = new([trials]trial)
		for i := range w.trials {
			r.trial(&w.trials[i])
		}
	}
	if flags&flagTail != 0 {
		r.trial(&w.tail.trial)
	}
	r.bad = r.bad || flags > 2*flagTail-1
	return flags&flagBase != 0
}

// readOld reads a watch without trials, of which those of what is ill go on from its figures.
func (w *Watch) readOld(r *reader) (based bool) {
	w.At, w.Since = r.time(), r.time()
	r.time() // suspected
	w.silent = unix(r.time())
	w.heard = unix(r.time()) // when it was last unwell
	w.next = unix(r.time())
	if first := r.time(); w.Since == 0 {
		w.Since = first
	}
	flags := r.byte()
	w.Kind = telemetry.Ailment(flags >> 2)
	r.float64() // rate
	r.float64() // p90
	r.float64() // mean
	shares := [trials]float64{failing: r.float64(), throttled: r.float64(), slow: 0.5}
	if w.heard == 0 {
		w.heard = unix(w.At)
	}
	for i, k := range kinds {
		if k == w.Kind {
			w.trials = new([trials]trial)
			w.trials[i] = trial{n: enough, k: float32(enough * min(shares[i], 1)), state: ill}
		}
	}
	return flags&flagBase != 0
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
