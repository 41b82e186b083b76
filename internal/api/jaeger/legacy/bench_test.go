package legacy

import (
	"testing"

	"github.com/binnacle-mesh/binnacle/internal/api/apitest"
	"github.com/binnacle-mesh/binnacle/internal/api/jsonout"
	"github.com/binnacle-mesh/binnacle/internal/query"
)

func BenchmarkTrace(b *testing.B) {
	apitest.BenchmarkTrace(b, func(t *query.Trace, buf []byte) []byte {
		j := jsonout.Writer{B: buf}
		writeTrace(&j, t)
		return j.B
	})
}
