package health

// Vary is by how many times the mean duration usually exceeds itself, see baseline.Baseline.Vary; 0 where nothing is known.
func (w *Watch) Vary() float64 {
	if w.base == nil {
		return 0
	}
	return w.base.Vary()
}
