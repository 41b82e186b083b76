package block

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"math"
	"os"
	"runtime"
	"slices"
	"testing"

	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"github.com/binnacle-mesh/binnacle/internal/disk"
	"github.com/binnacle-mesh/binnacle/internal/disk/faulty"
)

// A dictionary of a file without checksums of its headers says that it has two thousand million values: no room is made for them.
func TestDamagedCountTakesNoMemory(t *testing.T) { //nolint:paralleltest // it counts what all tests allocate
	body := bytes.Repeat(binary.LittleEndian.AppendUint64(nil, 7), 3)
	h := format.PageHeader{
		Type: format.DictionaryPage, UncompressedPageSize: int32(len(body)), CompressedPageSize: int32(len(body)), CRC: int32(crc32.ChecksumIEEE(body)),
	}
	h.DictionaryPageHeader.V.NumValues = math.MaxInt32
	h.DictionaryPageHeader.Valid = true
	header, err := thrift.Marshal(new(thrift.CompactProtocol), &h)
	if err != nil {
		t.Fatal(err)
	}
	fsys := faulty.New(1)
	if err := fsys.MkdirAll("/d", 0o700); err != nil {
		t.Fatal(err)
	}
	on, err := fsys.OpenFile("/d/f", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	page := slices.Concat(header, body)
	if _, err := on.WriteAt(page, 0); err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err = (&file{f: on}).dictionary(&scratch{}, &fileColumn{
		columnDef: columnDef{name: "attr.n", kind: kindInt64}, codec: format.Uncompressed, dict: pageLocation{size: int32(len(page))},
	})
	runtime.ReadMemStats(&after)
	if err == nil || disk.Failed(err) {
		t.Errorf("read with %v", err)
	}
	if took := after.TotalAlloc - before.TotalAlloc; took > 64<<20 {
		t.Errorf("it took %d MB", took>>20)
	}
}
