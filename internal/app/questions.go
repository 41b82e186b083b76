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
	}, places(a.cfg.API.MaxConcurrentQueries, a.cfg.API.MaxWaitingQueries, a.cfg.PromQL.MaxConcurrent), account, runtime.GOMAXPROCS(0)-1, a.reg)
}

// heavyShare is which part of the searches may go through much: the others must find a place while those go on for all the time they have.
const heavyShare = 8

// places is how many questions there may be at once. Those that go through much leave the PromQL engine a place for others.
func places(underWay, waiting, engine int) ask.Places {
	return ask.Places{UnderWay: underWay, Heavy: max(1, min(underWay/heavyShare, engine-1)), Waiting: waiting}
}
