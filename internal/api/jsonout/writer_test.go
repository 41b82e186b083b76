package jsonout

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// FuzzText: whatever is written as a JSON string, a JSON reader reads back, but
// for bytes that are no text.
func FuzzText(f *testing.F) {
	for _, s := range []string{"", "plain", "\"\\\n\r\t\x00\x1f", "ü€😀", "\u2028\u2029", "a\xffb\xc0", "\uFFFD"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var got string
		b := appendText(nil, s)
		if err := json.Unmarshal(b, &got); err != nil {
			t.Fatalf("%q is written as %s, which is no JSON: %v", s, b, err)
		}
		want := s
		if !utf8.ValidString(s) { // encoding/json decides what becomes of other bytes
			viaJSON, err := json.Marshal(s)
			if err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(viaJSON, &want); err != nil {
				t.Fatal(err)
			}
		}
		if got != want {
			t.Fatalf("%q is read back as %q", s, got)
		}
	})
}

// TestMillisIsExact: nanoseconds written as milliseconds are the same number.
func TestMillisIsExact(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		ns := rapid.OneOf(rapid.Int64Range(-math.MaxInt64, math.MaxInt64), rapid.Int64Range(-2_000_000, 2_000_000)).Draw(t, "ns")
		s := string(appendMillis(nil, ns))
		whole, frac, _ := strings.Cut(s, ".")
		back, err := strconv.ParseInt(whole+(frac + "000000")[:6], 10, 64)
		if err != nil || back != ns || strings.HasSuffix(frac, "0") || len(frac) > 6 {
			t.Fatalf("%d ns is written as %s, which is %d ns (%v)", ns, s, back, err)
		}
		if !json.Valid([]byte(s)) {
			t.Fatalf("%d ns is written as %s, which is no JSON number", ns, s)
		}
	})
}

// TestFloatIsEncodingJSONs: every number is written as encoding/json writes it,
// and what is none does not break the JSON around it.
func TestFloatIsEncodingJSONs(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		f := rapid.Float64().Draw(t, "f")
		want, err := json.Marshal(f)
		if err != nil {
			want = []byte(map[string]string{"NaN": `"NaN"`, "+Inf": `"Infinity"`, "-Inf": `"-Infinity"`}[strconv.FormatFloat(f, 'g', -1, 64)])
		}
		if got := appendFloat(nil, f); string(got) != string(want) {
			t.Fatalf("%v is written as %s, want %s", f, got, want)
		}
	})
}

// Signals are written as strconv writes six digits, but for the last of them where a number lies between two.
func TestSignalIsSixDigits(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		f := rapid.OneOf(
			rapid.Float64(), rapid.Float64Range(0, 2e6),
			rapid.Custom(func(rt *rapid.T) float64 {
				return float64(rapid.IntRange(0, 2_000_000).Draw(rt, "n")) * math.Pow(10, float64(rapid.IntRange(-12, 3).Draw(rt, "e")))
			}),
		).Draw(rt, "signal")
		got := string(AppendSignal(nil, f))
		want := strconv.FormatFloat(f, 'g', 6, 64)
		if got == want || f == 0 && got == "0" {
			return
		}
		x, err := strconv.ParseFloat(got, 64)
		y, _ := strconv.ParseFloat(want, 64)
		if err != nil || math.Abs(x-y) > 1.001e-5*math.Abs(y) || len(got) > len(want)+6 {
			rt.Fatalf("%v is written as %s, not %s", f, got, want)
		}
	})
}
