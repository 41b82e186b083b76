package app

import (
	"os"
	"runtime/debug"

	"github.com/binnacle-mesh/binnacle/internal/ledger"
)

// boundMemory makes the ledger, and tells the garbage collector what the process may take, unless the environment does.
func (a *App) boundMemory() {
	b := a.cfg.Memory.Of(os.DirFS("/"))
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(b.Runtime)
	}
	a.ledger = ledger.New(b.Clients, a.reg)
	a.log.Info("memory is bounded", "bytes", b.Process, "by", b.From, "of_which_clients", b.Clients)
}
