// Package findings says why the service graph may be wrong or lack something: who drops trace headers, who has no tracer, whose sampling differs
// from the others', whose clock is off, whose calls are reported twice, which replica fell silent, which service has another name now, and whose
// address another has got.
//
// It is pure. What it judges is a [Service] with the counts of its witnesses, or a pair of such, and the time is one of its fields. A file is one finding.
// Each gives an [Opinion]: that it is so, that it is not, or that too little was seen to tell; a [Book] makes findings of them, which begin when it was
// so for several looks in a row, and end when it is no longer, and not when there is silence.
//
// The graph (package topology) counts what is asked for here, and looks once a second. docs/operations/findings.md is written for operators.
package findings
