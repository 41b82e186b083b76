// Package series is the metrics on disk: Prometheus' own time series database,
// opened with the sizes that fit a server of a few hundred megabytes.
//
// The package holds no format of its own. What is in it, and under which names,
// is the aggregator's business; what others expect to find is that of
// aggregator/views.
package series
