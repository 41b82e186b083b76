// Package jaeger is what Jaeger's two query APIs have in common: the legacy JSON (package
// legacy) and version 3 (package v3). One mounts both below /jaeger, as Jaeger serves them.
package jaeger

import (
	"context"
	"slices"
	"time"

	"github.com/binnacle-mesh/binnacle/internal/api/jsonout"
	"github.com/binnacle-mesh/binnacle/internal/api/params"
	"github.com/binnacle-mesh/binnacle/internal/query"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

const (
	// Limit is how many traces Jaeger assumes where a search does not say.
	Limit = 100
	// Lookback is how far back it then searches.
	Lookback = 48 * time.Hour
	// DependencyLookback is how far back dependencies are asked for where a question does not say.
	DependencyLookback = 24 * time.Hour
	// Clamped is the header of an answer that covers less time than was asked for; its value names the
	// parameter and what was taken for it.
	Clamped = "Binnacle-Clamped"
	// IncompleteHeader is the header of an answer that may lack something, in an API that has no other place to say so; its value
	// says what could not be read.
	IncompleteHeader = "Binnacle-Incomplete"
)

// Incomplete is how a client is told that an answer may lack something.
func Incomplete(damaged []telemetry.Damage) string {
	return "this may be incomplete: a part of what is stored cannot be read: " + query.Lacks(damaged)
}

// SetTags puts tags into a form. Jaeger shows some fields of a span as
// tags, so people ask for them as tags; those are asked of the fields.
func SetTags(f *query.Form, tags []query.AttributeMatch) {
	for _, t := range tags {
		switch {
		case t.Key == "error" && t.Value == "true":
			f.Status = telemetry.StatusError.String()
		case t.Key == "otel.status_code" && t.Value == "ERROR":
			f.Status = telemetry.StatusError.String()
		case t.Key == "otel.status_code" && t.Value == "OK":
			f.Status = telemetry.StatusOK.String()
		case t.Key == "span.kind":
			f.Kind = t.Value
		default:
			f.Attributes = append(f.Attributes, t)
		}
	}
}

// ServiceNames is the names of all services, each once, in order.
func ServiceNames(ctx context.Context, e *query.Engine) ([]string, error) {
	services, err := e.Services(ctx)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(services))
	for i := range services {
		names[i] = services[i].Name
	}
	return slices.Compact(names), nil
}

// Operations is a service's operations, of one kind where the parameter of one of the names in kind gives it.
func Operations(ctx context.Context, e *query.Engine, p *params.Params, kind ...string) ([]telemetry.OperationEntry, error) {
	service, of := p.Text("service"), p.Text(kind...)
	if service == "" {
		p.Fail("service", "it must be given")
	}
	if p.Err() != nil {
		return nil, p.Err()
	}
	return e.Operations(ctx, service, of)
}

// WriteOperations writes a list of operations, as both APIs have it.
func WriteOperations(j *jsonout.Writer, ops []telemetry.OperationEntry) {
	jsonout.List(j, ops, func(j *jsonout.Writer, o *telemetry.OperationEntry) {
		j.Open('{')
		j.Field("name", o.Name)
		j.Field("spanKind", o.Kind)
		j.Close('}')
	})
}

// WriteDependencies writes who called whom how often; calls writes the number.
func WriteDependencies(j *jsonout.Writer, deps []query.Dependency, calls func(*jsonout.Writer, uint64)) {
	jsonout.List(j, deps, func(j *jsonout.Writer, d *query.Dependency) {
		j.Open('{')
		j.Field("parent", d.Parent)
		j.Field("child", d.Child)
		calls(j.Key("callCount"), d.Calls)
		j.Close('}')
	})
}
