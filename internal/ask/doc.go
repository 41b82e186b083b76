// Package ask counts what a question costs while it is answered: the memory that it holds, and the processors that it keeps busy.
//
// The problem: one query of every series made gigabytes before the engine's own limit counted its first sample, and 24
// searches side by side left no processor to those who decide about quotas.
//
// The form: who serves a question opens an [Ask] at the [Desk] and puts it into the question's context. Whoever makes something on its
// behalf takes it from there ([Of]), and counts as it makes: series, labels, samples, columns, spans, the answer. What would be
// too much is refused there and then, by an error that says the limit. Whoever computes for long calls [Ask.Yield] between steps.
//
// The invariants:
//   - what all questions hold is in an account of the server's ledger, and given back when the question is closed, whatever became of it;
//   - at most as many questions compute at once as there are processors less one (one at least), and one more beside each that makes no pause;
//     one that is new goes first, and one that has computed for a slice of time lets the next go, so that a short question does not wait for a long one (processors.go);
//   - at most so many are under way, and so many of them go through much; one that is answered within a moment needs no place among them (line.go);
//   - processor and places are given back when the question rests or is closed, whatever became of it;
//   - a nil Ask counts nothing and never waits: code that is asked by somebody else than a client needs no other path.
//
// Not chosen: to count objects on the heap, which is known after the fact and not by question; a bound on how many questions run, without slices:
// four long ones would keep everybody else waiting for half a minute.
package ask
