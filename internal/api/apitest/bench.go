package apitest

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/binnacle-mesh/binnacle/internal/query"
)

// BenchmarkTrace measures a large trace put in order and appended to a buffer by write. The ratio is to encoding/json
// only looking whether the same bytes are valid.
func BenchmarkTrace(b *testing.B, write func(t *query.Trace, buf []byte) []byte) {
	b.ReportAllocs()
	id, batch := Large()
	var buf []byte
	for b.Loop() {
		buf = write(query.NewTrace(id, batch), buf[:0])
	}
	per := float64(b.Elapsed()) / float64(b.N)
	const scans = 20
	start := time.Now()
	for range scans {
		if !json.Valid(buf) {
			b.Fatal("not JSON")
		}
	}
	b.ReportMetric(per/(float64(time.Since(start))/scans), "x-scan")
	b.ReportMetric(float64(len(buf))/1e6, "MB")
}
