package baseline

// Vary is by how many times the mean duration of a sample exceeds the usual one where it exceeds three of four: at least 1, 0 where nothing is known. It is found when asked,
// which is seldom.
func (b *Baseline) Vary() float64 {
	var some [recent]uint16
	means := some[:0]
	for i := range b.ring[:b.filled] {
		if p := &b.ring[i]; p.rate != 0 {
			means = append(means, p.mean)
		}
	}
	if len(means) == 0 {
		return 0
	}
	usual := quantile(means, 2)
	if usual <= 0 {
		return 0
	}
	return max(1, quantile(means, 3)/usual)
}
