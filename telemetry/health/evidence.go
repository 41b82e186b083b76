package health

import "math"

// chance is how unlikely what is seen must be, were all as usual, before it is believed. Every edge and node is looked at
// once a second, all day: a hundred of them have a hundred thousand windows of ten seconds within three hours.
const chance = 1e-5

// beyond says that k of n cases, each of probability p, are so many that it is no chance.
func beyond(k, n, p float64) bool { return k >= 2 && tail(k, n, p) < chance }

// tail is the probability of at least k of n cases (a binomial's upper tail), by Chernoff's bound, which is never below it: so it
// costs two logarithms and errs towards "may be chance".
func tail(k, n, p float64) float64 {
	switch {
	case n <= 0 || k <= n*p:
		return 1
	case p <= 0:
		return 0
	}
	q := min(k/n, 1)
	d := q * math.Log(q/p)
	if q < 1 {
		d += (1 - q) * math.Log((1-q)/(1-p))
	}
	return math.Exp(-n * d)
}

// silence is the probability that nothing comes where expected requests should.
func silence(expected float64) float64 { return math.Exp(-expected) }
