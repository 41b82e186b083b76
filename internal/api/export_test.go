package api

// Patterns is all that is served but the web view, for the tests of the whole port.
func (a *API) Patterns() []string { return a.patterns }
