// Package prometheus serves Prometheus' own query API over the series store and its
// views, by Prometheus' own code: the handlers of its web/api/v1 and its PromQL
// engine. Grafana, Kiali, Jaeger's monitor tab and every other client of
// Prometheus can ask Binnacle as they would ask a Prometheus.
//
// Only what reads is served. Targets, rules and alerts are not Binnacle's; what
// writes or deletes (remote write, the admin API) is not offered.
package prometheus
