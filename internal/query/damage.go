package query

import (
	"fmt"
	"strings"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// Damaged is what the trace store knows not to be readable.
func (e *Engine) Damaged() []telemetry.Damage {
	if r, ok := e.traces.(DamageReader); ok {
		return r.Damaged()
	}
	return nil
}

// Lacks names damage in a sentence: each file with what is wrong with it.
func Lacks(damaged []telemetry.Damage) string {
	const most = 5
	var b strings.Builder
	for i, d := range damaged {
		if i == most {
			fmt.Fprintf(&b, " and %d more", len(damaged)-most)
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%s (%s)", d.File, d.Reason)
	}
	return b.String()
}
