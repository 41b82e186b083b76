package aggregator

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/cockroachdb/datadriven"
	"pgregory.net/rapid"
)

func TestOperationNames(t *testing.T) {
	t.Parallel()
	datadriven.RunTest(t, "testdata/names", func(t *testing.T, d *datadriven.TestData) string {
		var sb strings.Builder
		for name := range strings.Lines(d.Input) {
			name = strings.TrimRight(name, "\n")
			switch d.Cmd {
			case "fold":
				sb.Write(appendOperation(nil, name))
			case "route":
				var route, method string
				d.ScanArgs(t, "route", &route)
				d.ScanArgs(t, "method", &method)
				sb.Write(appendRouted(nil, name, method, route))
			default:
				d.Fatalf(t, "no such command")
			}
			sb.WriteByte('\n')
		}
		return sb.String()
	})
}

// Folding is stable (a folded name stays as it is), bounded, and keeps UTF-8.
func TestFoldingIsStable(t *testing.T) {
	t.Parallel()
	part := rapid.OneOf(rapid.StringMatching(`[0-9]{1,12}`), rapid.StringMatching(`[0-9a-f]{6,40}`), rapid.StringMatching(`[A-Za-z0-9_-]{1,40}`),
		rapid.String(), rapid.SampledFrom([]string{"users", "{id}", "v1", "GET", "é", "日本"}))
	rapid.Check(t, func(t *rapid.T) {
		name := strings.Join(rapid.SliceOfN(part, 0, 12).Draw(t, "parts"), rapid.SampledFrom([]string{"/", " ", "-", "."}).Draw(t, "joint"))
		once := appendOperation(nil, name)
		if len(once) > maxName {
			t.Fatalf("%d bytes", len(once))
		}
		if utf8.ValidString(name) && !utf8.Valid(once) {
			t.Fatalf("%q became invalid: %q", name, once)
		}
		if len(name) < maxName/2 { // a name that is cut may end in the middle of a placeholder
			if twice := appendOperation(nil, string(once)); !bytes.Equal(once, twice) {
				t.Fatalf("%q became %q and then %q", name, once, twice)
			}
		}
		if before := []byte("kept"); !bytes.HasPrefix(appendOperation(before, name), before) {
			t.Fatal("what was in the buffer is gone")
		}
	})
}
