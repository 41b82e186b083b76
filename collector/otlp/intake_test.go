package otlp

import (
	"testing"

	"github.com/binnacle-mesh/binnacle/collector"
	"github.com/binnacle-mesh/binnacle/collector/internal/rig"
)

func newRig(t testing.TB, change func(*collector.Config)) *rig.Rig {
	return rig.New(t, "otlp", testNow, change)
}

// newIntake takes spans of any age, as a collector does that is not told otherwise.
func newIntake(t testing.TB) *collector.Intake {
	return newRig(t, nil).In
}
