package block

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// TestFilesWithoutChecks reads a block as it was written before files had checks.
func TestFilesWithoutChecks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openTest(t, dir, DefaultConfig())
	e := copyEntry(t, newMesh(4).entry(80))
	consume(t, s, e)
	seal(t, s)
	closeStore(t, s)
	path := filepath.Join(dir, blockName(meta{first: 1, last: 1}), spansFile)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, withoutChecks(t, b), 0o600); err != nil {
		t.Fatal(err)
	}
	if r, err := Verify(dir); err != nil || len(r.Problems) > 0 || r.Unchecked != 1 {
		t.Errorf("reported %+v, %v", r, err)
	}
	s = openTest(t, dir, DefaultConfig())
	defer closeStore(t, s)
	spans, _ := everything(t, s, []telemetry.Entry{e})
	if diff := gocmp.Diff(inOrder(sent([]telemetry.Entry{e})), inOrder(spans)); diff != "" {
		t.Errorf("(-sent +stored):\n%s", diff)
	}
	if d := s.Damaged(); len(d) > 0 {
		t.Errorf("said to be damaged: %v", d)
	}
}

// withoutChecks takes the checks, the trailer and the key out of a file.
func withoutChecks(t *testing.T, b []byte) []byte {
	t.Helper()
	size := int(binary.LittleEndian.Uint32(b[len(b)-8:]))
	at := len(b) - 8 - size
	var fm format.FileMetaData
	if err := thrift.Unmarshal(new(thrift.CompactProtocol), b[at:len(b)-8], &fm); err != nil {
		t.Fatal(err)
	}
	fm.KeyValueMetadata = slices.DeleteFunc(fm.KeyValueMetadata, func(kv format.KeyValue) bool { return kv.Key == checksKey })
	footer, err := thrift.Marshal(new(thrift.CompactProtocol), &fm)
	if err != nil {
		t.Fatal(err)
	}
	saved := readTrailer(b[at-trailerSize : at])
	if !saved.there {
		t.Fatal("the file has no checks")
	}
	out := bytes.Clone(b[:at-trailerSize-int(saved.size)])
	out = append(out, footer...)
	out = binary.LittleEndian.AppendUint32(out, uint32(len(footer)))
	return append(out, magic...)
}
