package connect

import "fmt"

// OpenTelemetry is the environment that makes any OpenTelemetry SDK, or the agent of a language, send its spans over
// OTLP/HTTP to this server: lines for a shell. service must have passed CheckLabel.
func OpenTelemetry(otlpHTTP Target, service string) string {
	return fmt.Sprintf(`export OTEL_SERVICE_NAME=%s
export OTEL_TRACES_EXPORTER=otlp
export OTEL_METRICS_EXPORTER=none
export OTEL_LOGS_EXPORTER=none
export OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf
export OTEL_EXPORTER_OTLP_ENDPOINT=http://%s
`, service, otlpHTTP)
}
