package app

import (
	"runtime"

	"github.com/binnacle-mesh/binnacle/internal/ask"
)

// queriesShare is which part of the memory for clients all questions together may hold.
const queriesShare = 2

// questions is where whoever searches is counted. One processor is left to those who receive, acknowledge and decide.
func (a *App) questions() (*ask.Desk, error) {
	account := a.ledger.Account("queries", a.ledger.Limit()/queriesShare)
	return ask.New(ask.Limits{
		Bytes:  min(a.cfg.API.MaxQueryBytes, account.Limit()),
		Series: int64(a.cfg.PromQL.MaxSeries),
		Answer: a.cfg.API.MaxAnswerBytes,
	}, account, runtime.GOMAXPROCS(0)-1, a.reg)
}
