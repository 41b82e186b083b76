package wal

import (
	"encoding/binary"
	"hash/crc32"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// A segment is pages of 32 KiB. A record is written in one or more frames, each within a page:
//
//	frame = kind:1 length:2 crc32c:4 payload
//
// The checksum is taken over the whole frame, with the frame's offset in the file in the place of the checksum. So a
// frame is known for what it is wherever the bytes before it are damaged: neither a flipped kind or length, nor a page that came to
// lie elsewhere, nor bytes within a sender's text that look like a frame, pass for one.
//
// Frames without kindSealed are what prometheus/tsdb/wlog writes, and we did until version 2 of the format: their checksum is of the
// payload alone. They are read, and believed only where their position is plausible.

const (
	pageBytes   = 32 << 10
	frameBytes  = 7 // of a frame before its payload
	headerBytes = 8 // our position, before a record
	// minRecord is the least that a record takes: by it the number of records is bounded that a run of bytes can hold.
	minRecord = frameBytes + headerBytes + 1
)

// The kinds of frames.
const (
	kindPad    = 0 // the rest of the page is zeros
	kindFull   = 1
	kindFirst  = 2
	kindMiddle = 3
	kindLast   = 4
	kindMark   = 5 // not a record: how numbering goes on in this segment
	kindSealed = 0x20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli) //nolint:gochecknoglobals // immutable

// appendRecord frames a record that is to lie at offset at of its segment. out is what comes before it, since at-len(out) or later.
func appendRecord(out []byte, at int64, rec []byte) []byte {
	base := at - int64(len(out))
	for first := true; first || len(rec) > 0; first = false {
		left := pageBytes - int((base+int64(len(out)))%pageBytes)
		if left < minRecord {
			out = append(out, make([]byte, left)...)
			left = pageBytes
		}
		n := min(len(rec), left-frameBytes)
		kind := byte(kindMiddle)
		switch whole := n == len(rec); {
		case first && whole:
			kind = kindFull
		case first:
			kind = kindFirst
		case whole:
			kind = kindLast
		}
		out = appendFrame(out, base+int64(len(out)), kind, rec[:n])
		rec = rec[n:]
	}
	return out
}

func appendFrame(out []byte, at int64, kind byte, payload []byte) []byte {
	from := len(out)
	out = append(out, kind|kindSealed)
	out = binary.BigEndian.AppendUint16(out, uint16(len(payload)))
	out = binary.BigEndian.AppendUint32(out, uint32(at))
	out = append(out, payload...)
	binary.BigEndian.PutUint32(out[from+3:], crc32.Checksum(out[from:], castagnoli))
	return out
}

// checksum is that of a frame at offset at. The frame is put back as it was.
func checksum(frame []byte, at int64) uint32 {
	was := binary.BigEndian.Uint32(frame[3:])
	binary.BigEndian.PutUint32(frame[3:], uint32(at))
	sum := crc32.Checksum(frame, castagnoli)
	binary.BigEndian.PutUint32(frame[3:], was)
	return sum
}

// framed is how many bytes a record of n takes on disk at the most: it has a header in each
// page that it touches, two at the least, and may leave the end of one page empty.
func framed(n int) int64 { return int64(n + frameBytes*(n/(pageBytes-frameBytes)+2) + minRecord) }

// A mark stands at the beginning of a segment.
type mark struct {
	next telemetry.Position // of the first record of the segment
	// skipped is how many positions just before next were never given to a record, or to one that nobody was told of: after damage at the
	// log's end it is not known how many records were there, and no position may be given twice.
	skipped uint64
}

const markBytes = frameBytes + 16

func (m mark) frame() []byte {
	payload := binary.LittleEndian.AppendUint64(nil, uint64(m.next))
	return appendFrame(nil, 0, kindMark, binary.LittleEndian.AppendUint64(payload, m.skipped))
}

func parseMark(payload []byte) (m mark, ok bool) {
	if len(payload) != 16 {
		return mark{}, false
	}
	m = mark{telemetry.Position(binary.LittleEndian.Uint64(payload)), binary.LittleEndian.Uint64(payload[8:])}
	return m, m.next > 0 && m.skipped < uint64(m.next)
}

// positionOf is the position in the first bytes of a record.
func positionOf(payload []byte) telemetry.Position {
	return telemetry.Position(binary.LittleEndian.Uint64(payload))
}
