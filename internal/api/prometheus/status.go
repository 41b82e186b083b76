package prometheus

import (
	"fmt"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/tsdb"
	v1 "github.com/prometheus/prometheus/web/api/v1"

	"github.com/binnacle-mesh/binnacle/storage/series"
)

// storeStatus tells of the database. The embedded interface, nil, stands for what
// only the admin API calls, which is not served.
type storeStatus struct {
	v1.TSDBAdminStats
	db *series.DB
}

func (s storeStatus) Stats(label string, limit int) (*tsdb.Stats, error) {
	return s.db.Stats(label, limit), nil
}

func (s storeStatus) BlockMetas() ([]tsdb.BlockMeta, error) { return s.db.BlockMetas(), nil }

// WALReplayStatus is that of a replay which has ended: the database is open.
func (s storeStatus) WALReplayStatus() (tsdb.WALReplayStatus, error) {
	return tsdb.WALReplayStatus{}, nil
}

func goVersion() string { return runtime.Version() }

func runtimeInfo(o *Options) (v1.RuntimeInfo, error) {
	host, err := os.Hostname()
	if err != nil {
		return v1.RuntimeInfo{}, fmt.Errorf("ask for the host's name: %w", err)
	}
	return v1.RuntimeInfo{
		StartTime:           o.Started,
		CWD:                 o.Dir,
		Hostname:            host,
		ServerTime:          time.Now(),
		ReloadConfigSuccess: true,
		LastConfigTime:      o.Started,
		GoroutineCount:      runtime.NumGoroutine(),
		GOMAXPROCS:          runtime.GOMAXPROCS(0),
		GOMEMLIMIT:          debug.SetMemoryLimit(-1),
		GOGC:                os.Getenv("GOGC"),
		GODEBUG:             os.Getenv("GODEBUG"),
		StorageRetention:    retention(o.DB),
	}, nil
}

// retention is written as Prometheus does: "15d or 4GiB".
func retention(db *series.DB) string {
	age, size := db.Retention()
	s := ""
	if age > 0 {
		s = model.Duration(age).String()
	}
	if size > 0 {
		if s != "" {
			s += " or "
		}
		s += fmt.Sprintf("%.4gGiB", math.Ceil(float64(size)/(1<<30)*100)/100)
	}
	return s
}
