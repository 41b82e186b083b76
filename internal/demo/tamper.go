package demo

import (
	"encoding/binary"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	datav3 "github.com/envoyproxy/go-control-plane/envoy/data/accesslog/v3"
	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/service/accesslog/v3"
	collectorv1 "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonv1 "go.opentelemetry.io/proto/otlp/common/v1"
	tracev1 "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// What a flaw makes of what a service and its Envoy send: just what the machine with the flaw would send.

// tamperSpans changes a request in place.
func (f *flaws) tamperSpans(request *collectorv1.ExportTraceServiceRequest) {
	now := f.now.Load()
	for _, resource := range request.GetResourceSpans() {
		name := attribute(resource.GetResource().GetAttributes(), "service.name")
		if name == nil || name.GetStringValue() != now.service {
			continue
		}
		switch now.kind {
		case FlawTracer:
			resource.ScopeSpans = nil
		case FlawSampling:
			for _, scope := range resource.GetScopeSpans() {
				scope.Spans = sampled(scope.GetSpans())
			}
		case FlawClock:
			for _, scope := range resource.GetScopeSpans() {
				for _, span := range scope.GetSpans() {
					span.StartTimeUnixNano += uint64(clockAhead)
					span.EndTimeUnixNano += uint64(clockAhead)
				}
			}
		case FlawRenamed:
			name.Value = &commonv1.AnyValue_StringValue{StringValue: now.service + renamedTo}
		default:
		}
	}
}

func attribute(all []*commonv1.KeyValue, key string) *commonv1.AnyValue {
	for _, a := range all {
		if a.GetKey() == key {
			return a.GetValue()
		}
	}
	return nil
}

// sampled are the spans of one trace in so many, chosen as a sampler by ratio does: by the trace's id.
func sampled(spans []*tracev1.Span) (kept []*tracev1.Span) {
	for _, span := range spans {
		if id := span.GetTraceId(); len(id) == 16 && binary.BigEndian.Uint64(id[8:])%sampledOne == 0 {
			kept = append(kept, span)
		}
	}
	return kept
}

// sentAs is a message with whom it comes from.
type sentAs struct {
	sender  *accesslogv3.StreamAccessLogsMessage_Identifier
	message *accesslogv3.StreamAccessLogsMessage
}

// tamperLogs is what is sent on in a message's place.
func (f *flaws) tamperLogs(sender *accesslogv3.StreamAccessLogsMessage_Identifier, m *accesslogv3.StreamAccessLogsMessage) []sentAs {
	now := f.now.Load()
	service, namespace, _ := strings.Cut(sender.GetNode().GetCluster(), ".")
	as := sentAs{sender, m}
	if service != now.service {
		return []sentAs{as}
	}
	switch now.kind {
	case FlawClock:
		for _, entry := range m.GetHttpLogs().GetLogEntry() {
			later(entry, int64(clockAhead))
		}
	case FlawRenamed:
		as.sender = clone(sender)
		as.sender.Node.Cluster = now.service + renamedTo + "." + namespace
		if labels := as.sender.GetNode().GetMetadata().GetFields()["LABELS"].GetStructValue(); labels != nil {
			labels.Fields["app"] = structpb.NewStringValue(now.service + renamedTo)
		}
	case FlawTwice:
		if second := inboundAgain(m); second != nil {
			by := clone(sender)
			by.Node.Id = "waypoint~127.0.0.1~" + service + "-waypoint-0." + namespace + "~" + namespace + ".svc.cluster.local"
			return []sentAs{as, {by, second}}
		}
	default:
	}
	return []sentAs{as}
}

// clone is a sender that may be changed.
func clone(sender *accesslogv3.StreamAccessLogsMessage_Identifier) *accesslogv3.StreamAccessLogsMessage_Identifier {
	out := proto.CloneOf(sender)
	if out.Node == nil {
		out.Node = &corev3.Node{}
	}
	return out
}

// inboundAgain is what a second proxy, nearer the service, logs of the requests that came in.
func inboundAgain(m *accesslogv3.StreamAccessLogsMessage) *accesslogv3.StreamAccessLogsMessage {
	logs := &accesslogv3.StreamAccessLogsMessage_HTTPAccessLogEntries{}
	for _, entry := range m.GetHttpLogs().GetLogEntry() {
		if strings.HasPrefix(entry.GetCommonProperties().GetUpstreamCluster(), "inbound|") {
			again := proto.CloneOf(entry)
			later(again, 200_000)
			common := again.GetCommonProperties()
			if d := common.GetTimeToLastDownstreamTxByte(); d != nil {
				common.TimeToLastDownstreamTxByte = durationpb.New(max(0, d.AsDuration()-400_000))
			}
			logs.LogEntry = append(logs.LogEntry, again)
		}
	}
	if len(logs.GetLogEntry()) == 0 {
		return nil
	}
	return &accesslogv3.StreamAccessLogsMessage{LogEntries: &accesslogv3.StreamAccessLogsMessage_HttpLogs{HttpLogs: logs}}
}

func later(entry *datav3.HTTPAccessLogEntry, by int64) {
	if at := entry.GetCommonProperties().GetStartTime(); at != nil {
		at2 := at.AsTime().UnixNano() + by
		entry.CommonProperties.StartTime = &timestamppb.Timestamp{Seconds: at2 / 1e9, Nanos: int32(at2 % 1e9)} //nolint:gosec // below a thousand million
	}
}
