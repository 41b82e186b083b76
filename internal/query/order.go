package query

import (
	"cmp"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

func compareServices(a, b telemetry.ServiceEntry) int {
	return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Namespace, b.Namespace))
}

func compareOperations(a, b telemetry.OperationEntry) int {
	return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Kind, b.Kind))
}
