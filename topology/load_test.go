package topology

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"os"
	"strings"
	"testing"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

func TestLoadRefuses(t *testing.T) {
	t.Parallel()
	f := newFeed(DefaultConfig())
	f.send(t, "shop/a", "x.example.com", 3)
	var b bytes.Buffer
	if err := f.t.Save(&b); err != nil {
		t.Fatal(err)
	}
	good := b.Bytes()
	try := func(name, want string, bad []byte) {
		t.Helper()
		top := New(DefaultConfig())
		err := top.Load(bytes.NewReader(bad))
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "replay") {
			t.Errorf("%s: error %v, want %q and a remedy", name, err, want)
		}
		if top.Applied() != 0 || top.Stats().Nodes != 0 {
			t.Errorf("%s: something was loaded", name)
		}
	}
	try("empty", "no checkpoint", nil)
	try("other", "no checkpoint", []byte("something else altogether"))
	newer := bytes.Clone(good)
	newer[len(checkpointMagic)] = 9
	try("newer", "version 9", newer)
	for i := len(checkpointMagic) + 1; i < len(good)-4; i += 7 {
		flipped := bytes.Clone(good)
		flipped[i] ^= 0x10
		try("flipped", "checksum", flipped)
		try("cut", "checksum", good[:i+4])
		try("cut, sum right", "", sealed(good[:i]))
	}
}

// testdata/checkpoint.v1, .v2 and .v3 were written by the first binaries that wrote these versions, of
// spans and entries that have met, have not, and are void: they must load as long as the
// versions are read, and be what the same state is written as now, which is as the last.
func TestLoadReadsOldCheckpoints(t *testing.T) {
	t.Parallel()
	last, err := os.ReadFile(fmt.Sprintf("testdata/checkpoint.v%d", checkpointVersion))
	if err != nil {
		t.Fatal(err)
	}
	for v := 1; v <= checkpointVersion; v++ {
		old, err := os.ReadFile(fmt.Sprintf("testdata/checkpoint.v%d", v))
		if err != nil {
			t.Fatal(err)
		}
		top := New(DefaultConfig())
		if err := top.Load(bytes.NewReader(old)); err != nil {
			t.Fatal(err)
		}
		if s := top.Stats(); top.Applied() != 12 || s.Pending == 0 || s.Edges == 0 {
			t.Errorf("version %d: applied %d, stats %+v", v, top.Applied(), s)
		}
		check(t, top)
		if now := saved(t, top); !bytes.Equal(last, now) {
			t.Errorf("version %d: the same state is written differently", v)
		}
	}
}

// sealed gives bytes a right checksum.
func sealed(b []byte) []byte {
	return binary.LittleEndian.AppendUint32(bytes.Clone(b), crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)))
}

// FuzzLoad: whatever is loaded, with a right checksum, the topology goes on
// working, and what it saves can be loaded.
func FuzzLoad(f *testing.F) {
	top := New(DefaultConfig())
	for i := range 3 {
		b := smallTrace(byte(i))
		b.Received = storyStart + int64(i)*1e9
		top.Consume(telemetry.Entry{Position: telemetry.Position(i + 1), Batch: b})
		var w bytes.Buffer
		if err := top.Save(&w); err != nil {
			f.Fatal(err)
		}
		f.Add(w.Bytes()[len(checkpointMagic)+1 : w.Len()-4])
	}
	more := newMesh().batch(10)
	addEntries(more)
	f.Fuzz(func(t *testing.T, body []byte) {
		file := append([]byte(checkpointMagic), checkpointVersion)
		top := New(DefaultConfig())
		if err := top.Load(bytes.NewReader(sealed(append(file, body...)))); err != nil {
			return
		}
		b := more
		b.Received = top.now + 1e9
		top.Consume(telemetry.Entry{Position: top.applied + 1, Batch: b})
		fresh(top)
		top.Tick(b.Received + 30e9)
		var w bytes.Buffer
		if err := top.Save(&w); err != nil {
			t.Fatal(err)
		}
		if err := New(DefaultConfig()).Load(&w); err != nil {
			t.Fatalf("what was saved cannot be loaded: %v", err)
		}
		top.Tick(b.Received + 3*3600e9)
	})
}

// smallTrace is a call, one to a database, and some halves that meet nothing: the
// fewer bytes there are to change, the more of them a fuzzer gets to.
func smallTrace(n byte) *telemetry.Batch {
	b := telemetry.NewBatch()
	resources := map[string]uint32{}
	from, to := addResource(b, resources, "shop/a@v1"), addResource(b, resources, "shop/b#cluster.local/ns/shop/sa/b")
	add := func(id, parent uint64, kind telemetry.SpanKind, resource uint32, peer telemetry.NodeKind, name string) {
		b.Spans = append(b.Spans, telemetry.Span{
			TraceID: telemetry.TraceID{n + 1}, SpanID: id64(id), ParentID: id64(parent), Kind: kind, Resource: resource,
			Protocol: telemetry.ProtocolHTTP, PeerKind: peer, Peer: b.InternString(name), Duration: int64(id) * 1e6,
			Outcome: telemetry.Outcome(n % 3),
		})
	}
	add(1, 0, telemetry.KindServer, from, 0, "")
	add(2, 1, telemetry.KindClient, from, telemetry.NodeService, "b")
	add(3, 2, telemetry.KindServer, to, 0, "")
	add(4, 3, telemetry.KindServer, to, 0, "") // void
	add(5, 3, telemetry.KindClient, to, telemetry.NodeDatabase, "db")
	add(6, 9, telemetry.KindServer, from, 0, "")
	add(7, 3, telemetry.KindConsumer, to, telemetry.NodeQueue, "jobs")
	addEntries(b)
	return b
}

// addEntries adds log entries that name spans of the batch.
func addEntries(b *telemetry.Batch) {
	for i := range b.Spans {
		s := &b.Spans[i]
		r := telemetry.Request{TraceID: s.TraceID, SpanID: s.SpanID, Resource: s.Resource, Cluster: s.Peer, Protocol: telemetry.ProtocolHTTP}
		if s.Kind == telemetry.KindServer {
			r.Side, r.TLS = telemetry.SideServer, telemetry.TLSMutual
		}
		b.Requests = append(b.Requests, r)
	}
}
