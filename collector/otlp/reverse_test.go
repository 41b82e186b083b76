package otlp

import (
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

// reverse is msg with the fields of each message in reverse order, down to
// depth; below that what looks like a message may be text.
func reverse(t testing.TB, msg []byte, depth int) []byte {
	t.Helper()
	var fields [][]byte
	for rest := msg; len(rest) > 0; {
		num, typ, n := protowire.ConsumeTag(rest)
		if n < 0 {
			t.Fatal(protowire.ParseError(n))
		}
		m := protowire.ConsumeFieldValue(num, typ, rest[n:])
		if m < 0 {
			t.Fatal(protowire.ParseError(m))
		}
		field := rest[:n+m]
		// ExportTraceServiceRequest.resource_spans, ResourceSpans.scope_spans and ScopeSpans.spans.
		if inner := []protowire.Number{0, 2, 2, 1}; depth > 1 && depth <= 4 && typ == protowire.BytesType && num == inner[depth-1] {
			v, _ := protowire.ConsumeBytes(rest[n:])
			field = protowire.AppendBytes(protowire.AppendTag(nil, num, typ), reverse(t, v, depth-1))
		}
		fields = append(fields, field)
		rest = rest[n+m:]
	}
	var out []byte
	for i := len(fields) - 1; i >= 0; i-- {
		out = append(out, fields[i]...)
	}
	return out
}
