package topology

import (
	"math"

	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/topology/signal"
)

// traffic is what edges and nodes show of their windows, before it is drawn.
type traffic struct {
	sums  [signal.Windows]signal.Sums
	rates [signal.Windows]rates
	dist  [signal.Windows]signal.Dist
}

// rates are in requests a second.
type rates struct{ requests, errors, throttled float64 }

func (tr *traffic) reset() {
	for w := range tr.sums {
		tr.sums[w], tr.rates[w] = signal.Sums{}, rates{}
		tr.dist[w].Reset()
	}
}

// shown is a window as it is shown: rounded, so that noise is no change.
type shown struct {
	rate, errors, throttled float64
	p50, p90, p99           float64
	some                    bool // there are quantiles
}

// perSecond is what a request in a window counts for in a rate. A rate is over
// the window, or over the time since its edge began where that is less: what began ten seconds
// ago has in five minutes no lower rate than in ten seconds.
func perSecond(w signal.Window, first, now int64) float64 {
	const least = 10.0 // seconds: one request is no burst
	return 1 / min(max(least, float64(now-first)/1e9), signal.Seconds(w, now))
}

// show makes what is shown of an edge's traffic.
func (tr *traffic) show() (out [signal.Windows]shown) {
	for w := range out {
		r := &tr.rates[w]
		out[w] = shown{rate: r.requests, errors: r.errors, throttled: r.throttled}
		out[w].finish(&tr.dist[w])
	}
	return out
}

// finish rounds the rates and takes the quantiles from d.
func (v *shown) finish(d *signal.Dist) {
	v.rate, v.errors, v.throttled = round3(v.rate), round3(v.errors), round3(v.throttled)
	qs := [...]float64{0.5, 0.9, 0.99}
	var ms [3]float64
	v.some = d.Quantiles(qs[:], ms[:])
	v.p50, v.p90, v.p99 = round3(ms[0]), round3(ms[1]), round3(ms[2])
}

// round3 keeps three digits; the last is below what the windows and the sketch
// resolve.
func round3(f float64) float64 {
	if f < 1e-3 {
		return 0
	}
	up, down := 1.0, 1.0
	for f*up < 100 {
		up *= 10
	}
	for f >= 1000*down {
		down *= 10
	}
	return math.Round(f*up/down) * down / up
}

// signals makes the API's windows, which point into ws.
func signals(ws *[signal.Windows]shown) map[string]telemetry.Signals {
	out := make(map[string]telemetry.Signals, signal.Windows)
	for i := range ws {
		v := &ws[i]
		s := telemetry.Signals{Rate: v.rate, ErrorRate: v.errors, ThrottledRate: v.throttled}
		if v.some {
			s.P50, s.P90, s.P99 = &v.p50, &v.p90, &v.p99
		}
		out[signal.Window(i).String()] = s
	}
	return out
}
