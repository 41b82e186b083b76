package api

// Patterns is all that is served but the web view, for the tests of the whole port.
func (a *API) Patterns() []string { return a.patterns }

// TakeTurns takes n of the places of requests that may search; the caller gives them back.
func (a *API) TakeTurns(n int) (giveBack func()) {
	for range n {
		a.turns <- struct{}{}
	}
	return func() {
		for range n {
			<-a.turns
		}
	}
}
