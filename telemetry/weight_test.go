package telemetry_test

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// What samplers write in a span, each in its way, is for how many requests it stands, in eighths; 8 is itself alone.
func TestWeightOfASpan(t *testing.T) {
	t.Parallel()
	f := func(want uint64, state string, attrs ...string) {
		t.Helper()
		b, s := span(telemetry.KindServer, attrs...)
		s.TraceID = telemetry.TraceID{1, 2, 3}
		s.TraceState = b.InternString(state)
		b.FinishSpan(0)
		if got := s.Weight.Eighths(); got != want {
			t.Errorf("trace state %q, attributes %v: it stands for %d eighths of a request, want %d", state, attrs, got, want)
		}
	}
	f(8, "")
	f(8, "ot=th:0")
	f(8, "ot=rv:0123456789abcd")
	f(16, "ot=th:8")
	f(16, "ot=th:80000000000000")
	f(32, "ot=th:c;rv:c1234567890123")
	f(32, "rojo=00f067aa0ba902b7,ot=p:2;th:C")
	f(32, "a=1 ,\tot=rv:c1234567890123;th:c , b=th:8")
	f(8*256, "ot=th:ff")
	f(800_000, "ot=th:ffffffffffffff") // 2^56 is more than any weight

	// What is no threshold is none.
	for _, state := range []string{"ot=th:", "ot=th:x", "ot=th:800000000000000", "ot=th:-8", "ot=", "ot", "bot=th:8", "a=ot=th:8", ",,;=th:8", "ot=xth:8"} {
		f(8, state)
	}

	f(80, "", "SampleRate:=10")
	f(800, "", "SampleRate=100")
	f(8, "", "SampleRate:=0")
	f(8, "", "SampleRate:=-3")
	f(8, "", "SampleRate=often")
	f(80, "", "sampling.probability=0.1")
	f(8, "", "sampling.probability=0")
	f(8, "", "sampling.probability:=7")
	f(8000, "", "sampler.type=probabilistic", "sampler.param=0.001")
	f(8, "", "sampler.type=ratelimiting", "sampler.param=0.5")
	f(8, "", "sampler.param=0.5")
	f(8, "", "sampler.type=const", "sampler.param:=1")
	f(16, "ot=th:8", "SampleRate:=100") // the trace state goes first: samplers behind it keep it true
}

// A weight is at most a third more than the one before, and they cover what samplers do.
func TestWeightsAreCloseTogether(t *testing.T) {
	t.Parallel()
	for w := telemetry.Weight(1); w <= telemetry.HeaviestWeight; w++ {
		if a, b := (w - 1).Eighths(), w.Eighths(); b <= a || 3*b > 4*a {
			t.Errorf("after %d eighths comes %d", a, b)
		}
	}
	if telemetry.HeaviestWeight >= 128 || (telemetry.HeaviestWeight + 1).Valid() || !telemetry.HeaviestWeight.Valid() {
		t.Errorf("the heaviest weight is %d, and a half has seven bits for it", telemetry.HeaviestWeight)
	}
	for _, n := range []float64{1, 2, 3, 4, 5, 8, 10, 20, 25, 50, 100, 200, 256, 500, 1000, 1024, 10_000, 100_000} {
		if got := telemetry.WeightOf(n, telemetry.TraceID{byte(n), 7}).Eighths(); float64(got) != 8*n {
			t.Errorf("%v requests are %d eighths", n, got)
		}
	}
	for _, n := range []float64{math.NaN(), math.Inf(-1), -1, 0, 0.5, 1} {
		if got := telemetry.WeightOf(n, telemetry.TraceID{1}); got != 0 {
			t.Errorf("%v requests are weight %d", n, got)
		}
	}
	if got := telemetry.WeightOf(math.Inf(1), telemetry.TraceID{1}); got != telemetry.HeaviestWeight {
		t.Errorf("infinitely many are weight %d", got)
	}
}

// Between two weights the lot decides, so that the mean is what the sampler said.
func TestWeightsAreRightInTheMean(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.Float64Range(1, 90_000).Draw(rt, "requests")
		seed := rapid.Uint64().Draw(rt, "seed")
		sum := 0.0
		const traces = 4000
		r := rand.New(rand.NewPCG(seed, 1))
		for range traces {
			var id telemetry.TraceID
			binary.LittleEndian.PutUint64(id[:8], r.Uint64())
			binary.LittleEndian.PutUint64(id[8:], r.Uint64())
			sum += float64(telemetry.WeightOf(n, id).Eighths()) / 8
		}
		// A weight is off by a sixth at most in the standard error of one; the mean of 4,000 by 0.27 %. Seven of these.
		if mean := sum / traces; math.Abs(mean-n) > 0.019*n {
			rt.Fatalf("the mean of %v requests is %v", n, mean)
		}
	})
}
