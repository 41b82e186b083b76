package analysis

import "math"

// Whether two counts differ by more than chance would have them differ. Each test gives the probability that chance alone makes
// a difference at least as great, in either direction: exact where counts are small, which is where it matters that nothing is said too soon, and
// by the normal distribution where they are so large that the exact sum would be long and no other.

// normalFrom is the variance of a count from which on the normal distribution stands for it.
const normalFrom = 900

// chanceOfRate is that of a and b events of one rate in two times, of which the second is share of both: what is called in bundles varies more
// than this says.
func chanceOfRate(a, b, share float64) float64 {
	n := a + b
	if n == 0 {
		return 1
	}
	mean := n * share
	if v := mean * (1 - share); v >= normalFrom {
		return normal(b-mean, v)
	}
	choose := lgamma(n+1) - lgamma(b+1) - lgamma(n-b+1)
	at := math.Exp(choose + b*math.Log(share) + (n-b)*math.Log1p(-share))
	odds := share / (1 - share)
	return twoSided(b, mean, at, func(k float64) float64 { return (n - k) / (k + 1) * odds })
}

// chanceOfShare is that of a among n and b among m, where each has the same chance to be among them.
func chanceOfShare(a, n, b, m float64) float64 {
	all, some := n+m, a+b
	if n == 0 || m == 0 || some == 0 || some == all {
		return 1
	}
	mean := m * some / all
	if v := mean * (1 - some/all) * n / max(all-1, 1); v >= normalFrom {
		return normal(b-mean, v)
	}
	choose := func(n, k float64) float64 { return lgamma(n+1) - lgamma(k+1) - lgamma(n-k+1) }
	at := math.Exp(choose(some, b) + choose(all-some, m-b) - choose(all, m))
	return twoSided(b, mean, at, func(k float64) float64 { return (some - k) * (m - k) / ((k + 1) * (all - some - m + k + 1)) })
}

// twoSided is twice the tail on k's side of the mean. at is the probability of k, step that of k+1 as a part of that of k.
func twoSided(k, mean, at float64, step func(k float64) float64) float64 {
	const negligible = 1e-12
	sum, term := at, at
	if k >= mean {
		for term > sum*negligible {
			term *= step(k)
			sum += term
			k++
		}
	} else {
		for k > 0 && term > sum*negligible {
			k--
			term /= step(k)
			sum += term
		}
	}
	return min(1, 2*sum)
}

// normal is the chance to be so far from the mean, half a count nearer since counts are whole.
func normal(off, variance float64) float64 {
	return math.Erfc(max(0, math.Abs(off)-0.5) / math.Sqrt(2*variance))
}

func lgamma(x float64) float64 {
	l, _ := math.Lgamma(x)
	return l
}
