//go:build !failpoints

package series

import "github.com/prometheus/prometheus/tsdb"

// instants is where a server that is built to be killed (see internal/failpoint) has its compactions watched.
func instants(*tsdb.Options) {}
