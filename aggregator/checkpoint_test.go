package aggregator

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"pgregory.net/rapid"

	"github.com/binnacle-mesh/binnacle/aggregator/canonical"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

// The state is a function of the log: a straight run, and one that is saved at
// any point, loaded, and then replays from any earlier one, end in the same bytes (I2).
func TestReplayEqualsStraightRun(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := &world{}
		log := w.log(t)
		straight := New(tight(), prometheus.NewRegistry())
		for i := range log {
			play(straight, log, i)
		}
		at := rapid.IntRange(0, len(log)).Draw(t, "saved at")
		first := New(tight(), prometheus.NewRegistry())
		for i := range at {
			play(first, log, i)
		}
		second := New(tight(), prometheus.NewRegistry())
		if err := second.Load(bytes.NewReader(saved(t, first))); err != nil {
			t.Fatal(err)
		}
		if second.Applied() != telemetry.Position(at) || second.Len() != first.Len() {
			t.Fatalf("loaded %d series at %d, saved %d at %d", second.Len(), second.Applied(), first.Len(), at)
		}
		for i := rapid.IntRange(0, at).Draw(t, "replayed from"); i < len(log); i++ {
			play(second, log, i)
		}
		if !bytes.Equal(saved(t, straight), saved(t, second)) {
			t.Fatal("the states differ")
		}
	})
}

func TestLoadRefusesWhatIsDamaged(t *testing.T) {
	t.Parallel()
	a := New(DefaultConfig(), prometheus.NewRegistry())
	b := spanBatch(20, 2, 3, func(i int) string { return fmt.Sprint("op", i) })
	if err := a.Consume(telemetry.Entry{Position: 7, Batch: b}); err != nil {
		t.Fatal(err)
	}
	good := saved(t, a)
	for name, bad := range map[string][]byte{
		"empty":     {},
		"cut":       good[:len(good)-5],
		"flipped":   append(append([]byte{}, good[:20]...), append([]byte{good[20] ^ 1}, good[21:]...)...),
		"other":     []byte("PARQUET-and-some-more"),
		"newer":     append([]byte("BNAGGR\x04"), good[7:]...),
		"long":      append(append([]byte{}, good...), 0),
		"only head": good[:len(stateMagic)+1],
	} {
		n := New(DefaultConfig(), prometheus.NewRegistry())
		if err := n.Load(bytes.NewReader(bad)); !errors.Is(err, ErrState) {
			t.Errorf("%s: %v", name, err)
		}
		if n.Applied() != 0 || n.Len() != 0 {
			t.Errorf("%s: something was loaded", name)
		}
	}
}

// A state of version 1, written by the release before: edges go on; operations, which
// had no outcome, end, and begin anew under their new labels. No request is an increase twice.
func TestLoadVersion1(t *testing.T) {
	t.Parallel()
	state, err := os.ReadFile("testdata/state-v1")
	if err != nil {
		t.Fatal(err)
	}
	c := DefaultConfig()
	c.MaxSeries = 10
	a := New(c, prometheus.NewRegistry())
	if err := a.Load(bytes.NewReader(state)); err != nil {
		t.Fatal(err)
	}
	if a.Applied() != 2 || a.Len() != 1 {
		t.Errorf("at position %d are %d series", a.Applied(), a.Len())
	}
	db := openStore(t, t.TempDir())
	flush := func(at int64) {
		if err := a.Flush(context.Background(), time.Unix(0, epoch+at*second), db); err != nil {
			t.Fatal(err)
		}
	}
	flush(10)
	b := telemetry.NewBatch()
	b.Received = epoch + 11*second
	b.Resources = append(b.Resources, telemetry.Resource{Identity: telemetry.Identity{
		Service: b.InternString("cart"), Namespace: b.InternString("shop"), Version: b.InternString("v1"),
	}})
	for _, o := range []telemetry.Outcome{telemetry.OutcomeOK, telemetry.OutcomeThrottled, telemetry.OutcomeError, telemetry.OutcomeThrottled} {
		s := telemetry.Span{Start: b.Received, Duration: 5e6, Name: b.InternString("GET /cart"), Kind: telemetry.KindServer, Outcome: o}
		if o != telemetry.OutcomeOK {
			s.Status = telemetry.StatusError
		}
		b.Spans = append(b.Spans, s)
	}
	if err := a.Consume(telemetry.Entry{Position: 3, Batch: b}); err != nil {
		t.Fatal(err)
	}
	flush(15)
	got := map[string]string{}
	for labels, s := range samples(t, db, named(canonical.Operation)) {
		if !strings.Contains(labels, `operation="op`) {
			got[strings.TrimPrefix(labels, `{__name__="binnacle_operation_duration_seconds", `)] = s
		}
	}
	want := map[string]string{
		`kind="server", namespace="shop", operation="GET /cart", service="cart", status="unset", version="v1"}`: "5.003:end",
		`kind="server", namespace="shop", operation="GET /cart", service="cart", status="error", version="v1"}`: "5.003:end",
		`overflow="true", status="error"}`: "5.003:end",
		`kind="server", namespace="shop", operation="GET /cart", outcome="ok", service="cart", status="unset", version="v1"}`:        "10.004:0 15.000:1",
		`kind="server", namespace="shop", operation="GET /cart", outcome="throttled", service="cart", status="error", version="v1"}`: "10.004:0 15.000:2",
		`kind="server", namespace="shop", operation="GET /cart", outcome="error", service="cart", status="error", version="v1"}`:     "10.004:0 15.000:1",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	for _, s := range samples(t, db, named(canonical.Edge)) {
		if s != "10.000:1" {
			t.Errorf("the edge has %s", s)
		}
	}
	again := New(c, prometheus.NewRegistry())
	if err := again.Load(bytes.NewReader(saved(t, a))); err != nil || again.Len() != a.Len() {
		t.Errorf("saved and loaded as version 2: %d series of %d, %v", again.Len(), a.Len(), err)
	}
}

func FuzzLoad(f *testing.F) {
	a := New(DefaultConfig(), prometheus.NewRegistry())
	b := spanBatch(20, 2, 3, func(i int) string { return fmt.Sprint("op", i) })
	if err := a.Consume(telemetry.Entry{Position: 7, Batch: b}); err != nil {
		f.Fatal(err)
	}
	a.Observe(observed(a, telemetry.Observation{Edge: &telemetry.Edge{Protocol: telemetry.ProtocolGRPC}, Duration: 5}))
	good := saved(f, a)
	f.Add(good[len(stateMagic)+1 : len(good)-4])
	f.Fuzz(func(t *testing.T, body []byte) {
		// The checksum is made right, so that what it protects is reached.
		data := seal(body)
		n := New(DefaultConfig(), prometheus.NewRegistry())
		if err := n.Load(bytes.NewReader(data)); err != nil {
			return
		}
		again := New(DefaultConfig(), prometheus.NewRegistry())
		out := saved(t, n)
		if err := again.Load(bytes.NewReader(out)); err != nil {
			t.Fatalf("what was loaded and saved cannot be loaded: %v", err)
		}
		if !bytes.Equal(out, saved(t, again)) {
			t.Fatal("saving is not stable")
		}
	})
}

// seal makes a state file of a body.
func seal(body []byte) []byte { return sealAs(stateVersion, body) }

func sealAs(version byte, body []byte) []byte {
	data := append([]byte(stateMagic), version)
	data = append(data, body...)
	return binary.LittleEndian.AppendUint32(data, crc32.Checksum(data, castagnoli))
}

func saved(t interface{ Fatal(...any) }, a *Aggregator) []byte {
	var b bytes.Buffer
	if err := a.Save(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
