package block

import (
	"strconv"
	"testing"

	dto "github.com/prometheus/client_model/go"
)

// TestOperationsAreBounded names more operations than the table holds: those that found no
// room are counted, and those that did stay.
func TestOperationsAreBounded(t *testing.T) {
	t.Parallel()
	o := newOperations()
	for i := range maxOperations + 5 {
		o.add(operation{service: "cart", name: strconv.Itoa(i)}, int64(i))
	}
	o.add(operation{service: "cart", name: "7"}, 9)
	var m dto.Metric
	if err := o.dropped.Write(&m); err != nil {
		t.Fatal(err)
	}
	if got := m.GetCounter().GetValue(); got != 5 || len(o.seen) != maxOperations || o.seen[operation{service: "cart", name: "7"}] != 9 {
		t.Errorf("%v dropped, %d kept", got, len(o.seen))
	}
}
