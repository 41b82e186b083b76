package quota

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/binnacle-mesh/binnacle/quota/window"
)

// What is written of the counters, and how it is read; docs/format/quota.md draws it.

const (
	recordVersion = 1
	recordHead    = 1 + 16 + 8 // version, secret, time
)

// A Recall is what an engine before this one wrote down of its counters. It is filled with the records in their order, then given to
// New.
type Recall struct {
	table  *window.Table
	secret Secret
	known  bool              // there is a secret
	unix   int64             // the latest time of a record, ns
	now    int64             // the time of restoring, seconds
	names  map[uint32]string // rule identifiers by the tags that they had
	torn   int64
	damage error
}

// NewRecall makes an empty one for a table of the configuration's size. now is the wall clock's Unix time in seconds: windows that have
// ended by then are left out.
func NewRecall(cfg Config, now int64) *Recall {
	return &Recall{table: newTable(cfg), now: now, names: make(map[uint32]string)}
}

func newTable(cfg Config) *window.Table { return window.New(cfg.MaxKeys, shards) }

var errRecord = errors.New("a record of quota counters is damaged, or a newer version wrote it")

// Add takes in a record. It is borrowed for the call. A record that is refused changes nothing.
func (r *Recall) Add(record []byte) error {
	var saved []window.Saved
	names := map[uint32]string{}
	secret, unix, err := decodeRecord(record, func(tag uint32, name string) { names[tag] = name }, func(v *window.Saved) { saved = append(saved, *v) })
	switch {
	case err != nil:
		return err
	case r.known && secret != r.secret:
		return fmt.Errorf("%w: it has another secret than those before", errRecord)
	}
	r.secret, r.known, r.unix = secret, true, max(r.unix, unix)
	for tag, name := range names {
		r.names[tag] = name
	}
	now := max(r.now, floorSeconds(r.unix))
	for i := range saved {
		r.table.Restore(&saved[i], now)
	}
	return nil
}

// Missing says what could not be read: the bytes of a saving that a crash cut off, and damage.
func (r *Recall) Missing(torn int64, damage error) { r.torn, r.damage = torn, damage }

// restored puts today's tags in place of the records', and returns how many keys there are.
func (r *Recall) restored(stats map[string]*ruleStats) int {
	today := make(map[uint32]uint32, len(r.names))
	for tag, name := range r.names {
		if s := stats[name]; s != nil {
			today[tag] = s.tag
		}
	}
	return r.table.Restored(func(tag uint32) uint32 {
		if t, ok := today[tag]; ok {
			return t
		}
		return window.NoTag
	})
}

// appendHead begins a record with the names of rules by tag, and as many of them.
func appendHead(b []byte, secret Secret, unix int64, names map[uint32]string) []byte {
	b = append(b, recordVersion)
	b = binary.LittleEndian.AppendUint64(b, secret.k0)
	b = binary.LittleEndian.AppendUint64(b, secret.k1)
	b = binary.LittleEndian.AppendUint64(b, uint64(unix))
	b = binary.AppendUvarint(b, uint64(len(names)))
	for tag, name := range names {
		b = binary.AppendUvarint(b, uint64(tag))
		b = appendText(b, []byte(name))
	}
	return b
}

// appendSaved writes a counter. Of a rule's windows most have one length and begin at one time.
func appendSaved(b []byte, v *window.Saved, now int64) []byte {
	length := uint64(v.Length) << 1
	if v.Floor {
		b = binary.AppendUvarint(b, length|1)
		b = binary.AppendUvarint(b, uint64(v.Shard))
	} else {
		b = binary.AppendUvarint(b, length)
		b = binary.LittleEndian.AppendUint64(b, v.Key.Hi)
		b = binary.LittleEndian.AppendUint64(b, v.Key.Lo)
	}
	b = binary.AppendVarint(b, (v.Start-window.Start(now, v.Length))/int64(v.Length))
	b = binary.AppendUvarint(b, v.Count)
	return binary.AppendUvarint(b, uint64(v.Tag))
}

// decodeRecord reads what appendHead and appendSaved wrote.
func decodeRecord(b []byte, name func(uint32, string), counter func(*window.Saved)) (secret Secret, unix int64, err error) {
	if len(b) < recordHead || b[0] != recordVersion {
		return Secret{}, 0, errRecord
	}
	secret = NewSecret([16]byte(b[1:17]))
	unix = int64(binary.LittleEndian.Uint64(b[17:]))
	now := floorSeconds(unix)
	r := reader{b: b[recordHead:]}
	for n := r.uint(); n > 0 && !r.bad; n-- {
		tag := r.uint32()
		if text := r.bytes(r.uint()); !r.bad {
			name(tag, string(text))
		}
	}
	for len(r.b) > 0 && !r.bad {
		var v window.Saved
		length := r.uint()
		if v.Floor = length&1 == 1; v.Floor {
			v.Shard = r.uint32()
		} else if key := r.bytes(16); !r.bad {
			v.Key = window.Key{Hi: binary.LittleEndian.Uint64(key), Lo: binary.LittleEndian.Uint64(key[8:])}
		}
		windows, k := binary.Varint(r.b)
		if k <= 0 || length>>1 == 0 || length>>1 > 1<<32-1 {
			return Secret{}, 0, errRecord
		}
		r.b = r.b[k:]
		v.Length = uint32(length >> 1)
		v.Start = window.Start(now, v.Length) + windows*int64(v.Length)
		v.Count, v.Tag = r.uint(), r.uint32()
		if !r.bad {
			counter(&v)
		}
	}
	if r.bad {
		return Secret{}, 0, errRecord
	}
	return secret, unix, nil
}

// A reader walks over a record; bad says that it ended early.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) uint() uint64 {
	v, k := binary.Uvarint(r.b)
	if k <= 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[k:]
	return v
}

func (r *reader) uint32() uint32 {
	v := r.uint()
	r.bad = r.bad || v > 1<<32-1
	return uint32(v)
}

func (r *reader) bytes(n uint64) []byte {
	if n > uint64(len(r.b)) {
		r.bad, r.b = true, nil
		return nil
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}
