//go:build !race

package otlp

import (
	"testing"

	"google.golang.org/protobuf/proto"
)

// TestNoAllocationPerSpan holds the hot path's promise: what a message
// allocates does not grow with its spans.
func TestNoAllocationPerSpan(t *testing.T) {
	in := newIntake(t)
	for _, spans := range []int{8, 512} {
		req := newLoad(1).request(spans)
		msg, err := proto.Marshal(req)
		if err != nil {
			t.Fatal(err)
		}
		text := otlpJSON(t, req)
		for name, decode := range map[string]func(*decoder) error{
			"proto": func(d *decoder) error { return d.proto(msg) },
			"json":  func(d *decoder) error { return d.json(text) },
		} {
			d := &decoder{}
			got := testing.AllocsPerRun(50, func() {
				d.begin(in)
				if err := decode(d); err != nil {
					t.Fatal(err)
				}
				in.Abandon(&d.Fill)
			})
			// The pool may lose a batch to the garbage collector now and then.
			if got > 2 {
				t.Errorf("%s: %v allocations for a message of %d spans, want at most 2", name, got, spans)
			}
		}
	}
}
