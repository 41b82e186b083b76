package block

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// The checks of a file cover what Parquet leaves uncovered.
//
// The problem: Parquet has a checksum for the body of a page. A bit that rots in a page's header, in the bloom filter, in an index or in
// the footer changes what a file says without anybody noticing: a trace is not found, an attribute has another name.
//
// The form: between the page indexes and the footer, where readers of Parquet do not look, lie the CRC-32C of each page's header, column by
// column, that of the bloom filter, of the column index and of the offset indexes. They are followed by a trailer: the checksum of all these, that of the
// footer, their length, a magic word. The footer says by a key that there is one, so that a trailer whose magic word has rotted is
// not taken for a file that never had one. docs/format/block.md draws it.
//
// Not chosen: a file of checksums beside each, which can be lost or belong to another; one checksum for the file, which would have to be read
// whole for each question.

const (
	checksMagic = "BCK1"
	checksKey   = "binnacle.checks"
	trailerSize = 16
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli) //nolint:gochecknoglobals // immutable

func checksum(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }

// checks are the checksums of a file's parts.
type checks struct {
	headers                  [][]uint32 // by column: of the dictionary's header, 0 without one, then of each page's
	bloom, bounds, locations uint32
}

// append writes the checks.
func (c *checks) append(b []byte) []byte {
	for _, column := range c.headers {
		for _, sum := range column {
			b = binary.LittleEndian.AppendUint32(b, sum)
		}
	}
	for _, sum := range [...]uint32{c.bloom, c.bounds, c.locations} {
		b = binary.LittleEndian.AppendUint32(b, sum)
	}
	return b
}

// trailer is what follows the checks and comes before the footer.
func trailer(checks, footer []byte) []byte {
	b := binary.LittleEndian.AppendUint32(nil, checksum(checks))
	b = binary.LittleEndian.AppendUint32(b, checksum(footer))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(checks)))
	return append(b, checksMagic...)
}

// A savedTrailer is what a file says of its checks.
type savedTrailer struct {
	there          bool
	checks, footer uint32
	size           int64
	at             int64 // where it lies in the file, there or not
}

// readTrailer reads the trailer, if the bytes before the footer are one.
func readTrailer(b []byte) savedTrailer {
	if len(b) != trailerSize || string(b[12:]) != checksMagic {
		return savedTrailer{}
	}
	return savedTrailer{
		there: true, checks: binary.LittleEndian.Uint32(b), footer: binary.LittleEndian.Uint32(b[4:]), size: int64(binary.LittleEndian.Uint32(b[8:])),
	}
}

var errChecksum = errors.New("checksum does not match")

// parseChecks reads the checks of a file with so many columns. How many pages each has follows from how many checks there are.
func parseChecks(b []byte, want uint32, columns int) (*checks, error) {
	pages := (len(b)/4-3)/max(1, columns) - 1
	if columns < 1 || pages < 1 || len(b) != 4*(columns*(pages+1)+3) {
		return nil, fmt.Errorf("checks have %d bytes, which does not fit %d columns", len(b), columns)
	}
	if checksum(b) != want {
		return nil, fmt.Errorf("checks: %w", errChecksum)
	}
	next := func() uint32 {
		sum := binary.LittleEndian.Uint32(b)
		b = b[4:]
		return sum
	}
	c := &checks{headers: make([][]uint32, columns)}
	for i := range c.headers {
		c.headers[i] = make([]uint32, pages+1)
		for k := range c.headers[i] {
			c.headers[i][k] = next()
		}
	}
	c.bloom, c.bounds, c.locations = next(), next(), next()
	return c, nil
}
