package health

import "math"

// The problem: a service that fails by half must be named after a handful of requests, one that fails by a twelfth when as many
// have come as statistics ask for, and neither may come and go while it lasts, nor be called ill long after. A window of fixed length
// can do one of these: a short one never holds enough of what is faint, a long one holds what was before the fault and, after it, the
// fault.
//
// The form: a sequential test for each kind of illness, fed with each second's requests, of which some are bad. It has two
// shares to tell apart: what is nothing unusual, and what is ill.
//
//	calm       counts k bad of n requests since the evidence began, which is whenever k was last not above what lies half way between
//	           the two shares: so nothing that came before the fault is among them.
//	suspected  k of n is a share that is ill, and so many would by chance come about less than once in a million.
//	ill        so it still is in a later second, by what has come since it was suspected.
//	calm       when, since it may have ended, j bad of m requests are few, and so few would come about less than once in a
//	           million were it as ill as it was; after Calm at the earliest.
//
// The counts of an illness are those of the illness alone, and those of its end begin after it: what is seen of one is never mixed with
// the other, and no state has to wait until a window is empty.
//
// Not chosen: windows of several lengths (what is faint was seen after twice the time, and was over a minute late); a sequential test
// of Wald's with the share of an illness given (it is known to be anything from a twentieth to all: the share that is
// most likely, and Chernoff's bound for it, need no such guess); decaying averages (they forget at their own pace and not at that of
// the evidence).
type trial struct {
	n, k  float32 // requests and bad ones since the evidence began; once ill, while it was
	m, j  float32 // the same since it was suspected; once ill, since it may have ended
	began uint32  // Unix seconds: when the evidence began; once ill, when it may have ended
	asked uint32  // Unix seconds: when it was suspected
	state byte
}

const (
	calm byte = iota
	suspected
	ill
)

// The kinds that have a trial, the worst first.
const (
	failing = iota
	slow
	throttled
	trials = 3
)

// shares are what a trial tells apart: below usual is nothing unusual, from bad on it is ill.
type shares struct{ usual, bad float64 }

// start is the share above which evidence begins.
func (s *shares) start() float64 { return (s.usual + s.bad) / 2 }

const (
	// chance is how unlikely what is seen must be, were nothing unusual, before it is believed. Each of some hundred edges
	// has thousands of stretches of any length in a day.
	chance = 1e-6
	// relief is how unlikely so few bad ones must be, were it as ill as it was, for it to be over: an incident of hours must not be
	// let go of in the middle.
	relief = 1e-6
	// doubt is how unlikely what is seen must be for nothing to be learned from it.
	doubt = 0.05
	// oldest is how far evidence goes back, in seconds: what takes longer to be told is not told.
	oldest = 900
	// changed is after how many seconds what is ill in another measure than it was is taken as it is.
	changed = 60
	// enough is how many bad requests tell how ill it is; of more, what was earlier counts by half.
	enough = 200
)

// take takes in a stretch of requests, bad ones among them, that lasted from from to now, both Unix seconds.
func (t *trial) take(requests, bad float64, s shares, from, now uint32) {
	if t.state == ill {
		t.endure(requests, bad, s, from, now)
		return
	}
	start := s.start()
	if t.n == 0 && bad <= start*requests {
		return
	}
	if t.n == 0 || t.state == calm && now-t.began > oldest {
		*t = trial{began: from}
	}
	t.n += float32(requests)
	t.k += float32(bad)
	if float64(t.k) <= start*float64(t.n) {
		*t = trial{}
		return
	}
	if !t.evident(s) {
		t.state, t.m, t.j = calm, 0, 0
		return
	}
	if t.state == calm {
		t.state, t.asked = suspected, now
		return
	}
	t.m += float32(requests)
	t.j += float32(bad)
	if now > t.asked && float64(t.j) >= s.bad*float64(t.m) {
		t.state, t.m, t.j = ill, 0, 0
	}
}

func (t *trial) evident(s shares) bool {
	n, k := float64(t.n), float64(t.k)
	return k >= 2 && k >= s.bad*n && chanceOf(k, n, s.usual) < chance
}

// doubtful says that what was seen of late is hardly chance.
func (t *trial) doubtful(s shares) bool {
	return t.state != calm || t.k >= 2 && chanceOf(float64(t.k), float64(t.n), s.usual) < doubt
}

// endure takes in a stretch of what is ill.
func (t *trial) endure(requests, bad float64, s shares, from, now uint32) {
	if requests > 0 {
		if t.m == 0 {
			t.began = from
		}
		t.m += float32(requests)
		t.j += float32(bad)
	}
	if t.m == 0 {
		return
	}
	m, j := float64(t.m), float64(t.j)
	// As ill as it was at least: what is found by its evidence shows more than there is.
	k := float64(t.k)
	share := min(max((k-1.5*math.Sqrt(k))/float64(t.n), s.bad), 0.95)
	likely := m*math.Log((1-s.usual)/(1-share)) - j*math.Log(share*(1-s.usual)/(s.usual*(1-share))) // that it has ended
	few := j <= 0.75*s.bad*m
	switch {
	case likely <= 0: // it goes on
		t.n, t.k, t.m, t.j = t.n+t.m, t.k+t.j, 0, 0
		if t.k > enough {
			t.n, t.k = t.n/2, t.k/2
		}
	case few && now-t.began >= uint32(Calm.Seconds()) && fewer(j, m, share) < relief:
		*t = trial{}
	case !few && now-t.began > changed: // less ill than it was, and ill
		t.n, t.k, t.m, t.j = t.m, t.j, 0, 0
	default:
	}
}

// share is the share of bad requests while it was ill.
func (t *trial) share() float64 {
	if t.n+t.m == 0 {
		return 0
	}
	return float64(t.k+t.j) / float64(t.n+t.m)
}
