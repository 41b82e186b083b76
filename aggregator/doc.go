// Package aggregator turns the log into golden signals: one cumulative native
// histogram for each operation of each service and outcome, and one for each edge of
// the service graph, witness and outcome.
//
//   - [Aggregator] is the core. It follows the log ([telemetry.Sink]) for the
//     operations, and takes what the graph observed on its edges ([Aggregator.Observe]). It is a
//     function of the log: time is that of the batches, and nothing is random.
//   - [Aggregator.Flush] writes what changed to the series store, with exemplars.
//   - [Aggregator.Save] and [Aggregator.Load] keep the state over a restart.
//   - [SelfScraper] writes the process' own metrics beside them.
//   - [GraphReader] reads the service graph of a past range back out of the store.
//
// The names under which other tools look for these figures are made at query
// time, by package views.
package aggregator
