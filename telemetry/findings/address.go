package findings

import (
	"fmt"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// The problem: addresses are given out again. Who holds on to one calls a service that is not the one he means: his proxy's log, or his span, names the one, and the other answers.
//
// The rule: requests that their callers say they made of one service are answered, by the spans of both sides, by another: at present 5 and more, at least one in twenty of what the first
// is called. Both report, under their own names, and the other is called under its own as well, by others. So a canary that answers under its service's name is none, nor is a service that was renamed, nor
// one whose own tracer is off, so that whom it calls seems to answer in its place.
const (
	enoughAnswers = 5.0
	fewAnswers    = 0.5
	answerShare   = 20
)

// Answer is what was answered by another than was called.
type Answer struct {
	Called, Answering         string // ids
	CalledName, AnsweringName string
	Callers                   []string // names of who called, in order
	Edges                     []string // those between the callers and the two
	Address                   string   // at which, where a log tells; "": not known
	Lately                    float64  // requests, of the last few seconds about
	Total                     uint64   // in all
	CalledLately              float64  // requests that the one who was called answers itself, in the same time
	CalledReports             bool     // it sends spans, now
	AnsweringReports          bool     // and so does the other
	AnsweringIsCalled         bool     // under its own name
}

// Reused judges whether an address of the called is the answering's now.
func Reused(a *Answer) Opined {
	o := Opined{Kind: AddressReused, Finding: telemetry.Finding{Kind: string(AddressReused), Subject: a.Called}}
	switch {
	case a.Lately < fewAnswers:
		o.Opinion = Well
		return o
	case a.Lately < enoughAnswers || !a.CalledReports || !a.AnsweringReports || !a.AnsweringIsCalled || a.Lately*answerShare < a.CalledLately:
		return o
	}
	o.Opinion = Wrong
	f := &o.Finding
	where, which := "an address of "+a.CalledName, ""
	if a.Address != "" {
		where, which = fmt.Sprintf("the address %s of %s", a.Address, a.CalledName), " at "+a.Address
	}
	f.Severity, f.Nodes, f.Edges, f.Count = telemetry.SeverityWarning, []string{a.Called, a.Answering}, a.Edges, a.Total
	f.Says = fmt.Sprintf("%s belongs to %s now: %d requests that were meant for the one were answered by the other", where, a.AnsweringName, a.Total)
	f.Remedy = "have the callers look the address up again (a stale cache of names, connections that are kept, a list of endpoints that is not renewed), or take it out of the list"
	f.Evidence = []string{fmt.Sprintf("callers: %s; their proxies say %s%s, the spans that belong to their calls are of %s", some4(a.Callers), a.CalledName, which, a.AnsweringName)}
	return o
}
