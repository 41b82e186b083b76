package envoyals

import (
	"testing"

	"github.com/binnacle-mesh/binnacle/collector/internal/rig"
)

func newRig(t testing.TB) *rig.Rig { return rig.New(t, "envoy_als", testNow, nil) }
