package health

import "math"

// chanceOf is the probability of at least k of n cases, each of probability p (a binomial's upper tail), by Chernoff's bound, which is never
// below it: so it costs two logarithms and errs towards "may be chance".
func chanceOf(k, n, p float64) float64 {
	switch {
	case n <= 0 || k <= n*p:
		return 1
	case p <= 0:
		return 0
	}
	return math.Exp(-n * apart(min(k/n, 1), p))
}

// fewer is the probability of at most k of n cases, each of probability p, by the same bound.
func fewer(k, n, p float64) float64 {
	switch {
	case n <= 0 || p <= 0 || k >= n*p:
		return 1
	case p >= 1:
		return 0
	}
	return math.Exp(-n * apart(k/n, p))
}

// apart is how far a share that is seen is from a probability: the Kullback-Leibler divergence, in nats a case.
func apart(q, p float64) (d float64) {
	if q > 0 {
		d = q * math.Log(q/p)
	}
	if q < 1 {
		d += (1 - q) * math.Log((1-q)/(1-p))
	}
	return d
}

// silence is the probability that nothing comes where expected requests should.
func silence(expected float64) float64 { return math.Exp(-expected) }

// hush is how unlikely a silence must be, were all as usual, before it is believed.
const hush = 1e-5
