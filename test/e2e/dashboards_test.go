package e2e

import (
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/binnacle-mesh/binnacle/internal/demo"
)

// dashboardsNeed is for how long the mesh must have run before every panel has
// data: the panels' shortest ranges are a minute, and the quota chapter must
// have begun to refuse.
const dashboardsNeed = 75 * time.Second

// TestDashboards runs every expression of every panel of our dashboards against
// a server fed by the real mesh: each must return data, none an error. The asking is
// done by the test of package dashboards, which takes the server's address
// from the environment.
func TestDashboards(t *testing.T) {
	binary := envoyOrSkip(t)
	s := startServer(t)
	mesh := startMesh(t, s, demo.Config{Envoy: binary, Rate: 60, Chapter: demo.ChapterQuota})
	for ready := time.Now().Add(dashboardsNeed); time.Now().Before(ready); {
		sleepOrFail(t, mesh.Failed())
	}
	cmd := exec.CommandContext(t.Context(), "go", "test", "-count=1", "-run", "^TestLive$", "github.com/binnacle-mesh/binnacle/dashboards")
	cmd.Env = append(os.Environ(), "BINNACLE_URL=http://"+s.web)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
}
