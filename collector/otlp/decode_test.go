package otlp

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	collectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// plain is a span as the tests compare it: everything by value.
type plain struct {
	Trace, Span, Parent  string
	Name, Message, State string
	Scope, ScopeVersion  string
	Start, Duration      int64
	Flags                uint32
	Kind                 telemetry.SpanKind
	Status               telemetry.Status
	Attrs, Resource      []string
	Events               []plainEvent
	Links                []plainLink
}

type plainEvent struct {
	Name  string
	Time  int64
	Attrs []string
}

type plainLink struct {
	Trace, Span string
	Attrs       []string
}

func plainBatch(b *telemetry.Batch) []plain {
	out := []plain{}
	for i := range b.Spans {
		s := &b.Spans[i]
		p := plain{
			Trace: s.TraceID.String(), Span: s.SpanID.String(), Parent: s.ParentID.String(),
			Name: b.CopyStr(s.Name), Message: b.CopyStr(s.StatusMessage), State: b.CopyStr(s.TraceState),
			Scope: b.CopyStr(s.ScopeName), ScopeVersion: b.CopyStr(s.ScopeVersion),
			Start: s.Start, Duration: s.Duration, Flags: s.Flags, Kind: s.Kind, Status: s.Status,
			Attrs: plainAttrs(b, s.Attrs), Resource: plainAttrs(b, b.Resources[s.Resource].Attrs),
		}
		for _, e := range b.Events[s.Events.Start : s.Events.Start+s.Events.Len] {
			p.Events = append(p.Events, plainEvent{b.CopyStr(e.Name), e.Time, plainAttrs(b, e.Attrs)})
		}
		for _, l := range b.Links[s.Links.Start : s.Links.Start+s.Links.Len] {
			p.Links = append(p.Links, plainLink{l.TraceID.String(), l.SpanID.String(), plainAttrs(b, l.Attrs)})
		}
		out = append(out, p)
	}
	return out
}

func plainAttrs(b *telemetry.Batch, r telemetry.Range) []string {
	var out []string
	for _, a := range b.AttrsOf(r) {
		var v string
		switch a.Type {
		case telemetry.AttrString:
			v = fmt.Sprintf("%q", b.Bytes(a.String()))
		case telemetry.AttrInt:
			v = strconv.FormatInt(int64(a.Value), 10)
		case telemetry.AttrFloat:
			v = strconv.FormatUint(a.Value, 16)
		case telemetry.AttrBool:
			v = strconv.FormatBool(a.Value == 1)
		case telemetry.AttrBytes:
			v = fmt.Sprintf("bytes %x", b.Bytes(a.String()))
		case telemetry.AttrJSON:
			v = "json " + b.CopyStr(a.String())
		}
		out = append(out, b.CopyStr(a.Key)+"="+v)
	}
	return out
}

// oracle is what req should become, read from protobuf's own decoder. It knows
// nothing of limits; ok is false where they, or repairs, would come in.
func oracle(req *collectorpb.ExportTraceServiceRequest) (out []plain, ok bool) {
	out = []plain{}
	for _, rs := range req.ResourceSpans {
		resource, fine := oracleAttrs(rs.GetResource().GetAttributes())
		if !fine {
			return nil, false
		}
		for _, ss := range rs.ScopeSpans {
			for _, s := range ss.Spans {
				p, keep, fine := oracleSpan(s)
				if !fine {
					return nil, false
				}
				if keep {
					p.Resource = resource
					p.Scope, p.ScopeVersion = ss.GetScope().GetName(), ss.GetScope().GetVersion()
					out = append(out, p)
				}
			}
		}
	}
	return out, true
}

func oracleSpan(s *tracepb.Span) (p plain, keep, ok bool) {
	p = plain{
		Trace: hex.EncodeToString(s.TraceId), Span: hex.EncodeToString(s.SpanId), Parent: fmt.Sprintf("%016x", s.ParentSpanId),
		Name: s.Name, Message: s.GetStatus().GetMessage(), State: s.TraceState, Flags: s.Flags,
		Start: int64(s.StartTimeUnixNano), Duration: int64(s.EndTimeUnixNano - s.StartTimeUnixNano),
		Kind: telemetry.SpanKind(s.Kind), Status: telemetry.Status(s.GetStatus().GetCode()),
	}
	if s.Kind < 0 || s.Kind > 5 || s.GetStatus().GetCode() < 0 || s.GetStatus().GetCode() > 2 {
		return p, false, false
	}
	if len(s.TraceId) != 16 || len(s.SpanId) != 8 || strings.Trim(p.Trace, "0") == "" || strings.Trim(p.Span, "0") == "" {
		return p, false, true
	}
	const day = 24 * 3600 * 1e9
	now := testNow.UnixNano()
	if len(s.ParentSpanId) != 0 && len(s.ParentSpanId) != 8 || s.EndTimeUnixNano < s.StartTimeUnixNano ||
		s.StartTimeUnixNano == 0 || s.EndTimeUnixNano > uint64(now+day) {
		return p, false, false
	}
	if p.Attrs, ok = oracleAttrs(s.Attributes); !ok || len(s.Events) > 128 || len(s.Links) > 128 {
		return p, false, false
	}
	for _, e := range s.Events {
		attrs, fine := oracleAttrs(e.Attributes)
		if !fine || e.TimeUnixNano == 0 || e.TimeUnixNano > uint64(now+day) {
			return p, false, false
		}
		p.Events = append(p.Events, plainEvent{e.Name, int64(e.TimeUnixNano), attrs})
	}
	for _, l := range s.Links {
		attrs, fine := oracleAttrs(l.Attributes)
		if !fine || len(l.TraceId) != 16 || len(l.SpanId) != 8 {
			return p, false, false
		}
		p.Links = append(p.Links, plainLink{hex.EncodeToString(l.TraceId), hex.EncodeToString(l.SpanId), attrs})
	}
	return p, true, true
}

func oracleAttrs(kvs []*commonpb.KeyValue) (out []string, ok bool) {
	if len(kvs) > 128 {
		return nil, false
	}
	for _, kv := range kvs {
		if kv.Key == "" || len(kv.Key) > 256 {
			return nil, false
		}
		v, fine := oracleValue(kv.Value)
		if !fine {
			return nil, false
		}
		out = append(out, kv.Key+"="+v)
	}
	return out, true
}

func oracleValue(v *commonpb.AnyValue) (string, bool) {
	switch x := v.GetValue().(type) {
	case *commonpb.AnyValue_StringValue:
		return fmt.Sprintf("%q", x.StringValue), len(x.StringValue) <= 4096
	case *commonpb.AnyValue_IntValue:
		return strconv.FormatInt(x.IntValue, 10), true
	case *commonpb.AnyValue_DoubleValue:
		return strconv.FormatUint(math.Float64bits(x.DoubleValue), 16), true
	case *commonpb.AnyValue_BoolValue:
		return strconv.FormatBool(x.BoolValue), true
	case *commonpb.AnyValue_BytesValue:
		return fmt.Sprintf("bytes %x", x.BytesValue), len(x.BytesValue) <= 4096
	default:
		s, depth := oracleJSON(v)
		return "json " + s, len(s) < 2000 && depth <= 16
	}
}

// oracleJSON is an array's or map's text, and how deep it nests.
func oracleJSON(v *commonpb.AnyValue) (string, int) {
	switch x := v.GetValue().(type) {
	case *commonpb.AnyValue_ArrayValue:
		var parts []string
		deepest := 0
		for _, e := range x.ArrayValue.GetValues() {
			s, depth := oracleJSON(e)
			parts, deepest = append(parts, s), max(deepest, depth)
		}
		return "[" + strings.Join(parts, ",") + "]", deepest + 1
	case *commonpb.AnyValue_KvlistValue:
		var parts []string
		deepest := 0
		for _, e := range x.KvlistValue.GetValues() {
			s, depth := oracleJSON(e.Value)
			parts, deepest = append(parts, oracleQuote(e.Key)+":"+s), max(deepest, depth)
		}
		return "{" + strings.Join(parts, ",") + "}", deepest + 1
	case *commonpb.AnyValue_StringValue:
		return oracleQuote(x.StringValue), 0
	case *commonpb.AnyValue_IntValue:
		return strconv.FormatInt(x.IntValue, 10), 0
	case *commonpb.AnyValue_BoolValue:
		return strconv.FormatBool(x.BoolValue), 0
	case *commonpb.AnyValue_DoubleValue:
		switch {
		case math.IsNaN(x.DoubleValue):
			return `"NaN"`, 0
		case math.IsInf(x.DoubleValue, 1):
			return `"Infinity"`, 0
		case math.IsInf(x.DoubleValue, -1):
			return `"-Infinity"`, 0
		}
		return strings.ToLower(fmt.Sprintf("%v", x.DoubleValue)), 0
	case *commonpb.AnyValue_BytesValue:
		return `"` + base64.StdEncoding.EncodeToString(x.BytesValue) + `"`, 0
	default:
		return "null", 0
	}
}

func oracleQuote(s string) string {
	var sb strings.Builder
	sb.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			sb.WriteByte('\\')
			sb.WriteRune(r)
		case r < ' ':
			fmt.Fprintf(&sb, `\u%04x`, r)
		default:
			sb.WriteRune(r)
		}
	}
	sb.WriteByte('"')
	return sb.String()
}

// rich is a request that has one of everything.
func rich() *collectorpb.ExportTraceServiceRequest {
	value := func(v *commonpb.AnyValue) *commonpb.KeyValue { return &commonpb.KeyValue{Key: "k", Value: v} }
	double := func(f float64) *commonpb.AnyValue {
		return &commonpb.AnyValue{Value: &commonpb.AnyValue_DoubleValue{DoubleValue: f}}
	}
	list := func(vs ...*commonpb.AnyValue) *commonpb.AnyValue {
		return &commonpb.AnyValue{Value: &commonpb.AnyValue_ArrayValue{ArrayValue: &commonpb.ArrayValue{Values: vs}}}
	}
	dict := func(kvs ...*commonpb.KeyValue) *commonpb.AnyValue {
		return &commonpb.AnyValue{Value: &commonpb.AnyValue_KvlistValue{KvlistValue: &commonpb.KeyValueList{Values: kvs}}}
	}
	raw := &commonpb.AnyValue{Value: &commonpb.AnyValue_BytesValue{BytesValue: []byte{0, 0xff, 0xfe, 7}}}
	yes := &commonpb.AnyValue{Value: &commonpb.AnyValue_BoolValue{BoolValue: true}}
	req := newLoad(3).request(4)
	s := req.ResourceSpans[0].ScopeSpans[0].Spans[0]
	s.TraceState = "vendor=value"
	s.Attributes = append(s.Attributes,
		value(double(1.5)), value(double(math.Inf(-1))), value(yes), value(raw), value(nil), value(&commonpb.AnyValue{}),
		number("k", math.MinInt64), text("k", ""), text("long", strings.Repeat("ü", 200)), text("k", "a \"quoted\"\n\\ line \U0001F600"),
		value(list()), value(list(text("", "a\"\x01é").Value, number("", -7).Value, double(math.NaN()), list(yes, nil), raw)),
		value(dict(text("a", "b"), number("c", 1), &commonpb.KeyValue{Key: "d", Value: dict(text("e", "f"))}, &commonpb.KeyValue{Key: "g"})),
	)
	at := uint64(testNow.UnixNano())
	s.Events = []*tracepb.Span_Event{
		{Name: "exception", TimeUnixNano: at, Attributes: []*commonpb.KeyValue{text("exception.type", "oops"), value(list(yes))}},
		{Name: "retry", TimeUnixNano: at + 1},
	}
	s.Links = []*tracepb.Span_Link{{TraceId: []byte("0123456789abcdef"), SpanId: []byte("01234567"), Attributes: []*commonpb.KeyValue{text("why", "batch")}}}
	s.Status = &tracepb.Status{Code: tracepb.Status_STATUS_CODE_ERROR, Message: "it broke"}
	return req
}

func decodeBoth(t *testing.T, req *collectorpb.ExportTraceServiceRequest) (fromProto, fromJSON []plain) {
	t.Helper()
	in := newIntake(t)
	msg, err := proto.Marshal(req)
	if err != nil {
		t.Fatal(err)
	}
	var d decoder
	d.begin(in)
	if err := d.proto(msg); err != nil {
		t.Fatalf("proto: %v", err)
	}
	fromProto = plainBatch(d.Batch)
	d.begin(in)
	if err := d.json(otlpJSON(t, req)); err != nil {
		t.Fatalf("json: %v", err)
	}
	return fromProto, plainBatch(d.Batch)
}

func TestDecode(t *testing.T) {
	t.Parallel()
	for name, req := range map[string]*collectorpb.ExportTraceServiceRequest{
		"empty": {},
		"load":  newLoad(7).request(300),
		"rich":  rich(),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want, ok := oracle(req)
			if !ok {
				t.Fatal("the oracle does not cover the request")
			}
			fromProto, fromJSON := decodeBoth(t, req)
			if diff := cmp.Diff(want, fromProto); diff != "" {
				t.Errorf("protobuf (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(want, fromJSON); diff != "" {
				t.Errorf("JSON (-want +got):\n%s", diff)
			}
		})
	}
}

// TestNestedIsJSON holds the text of arrays and maps against encoding/json, cut
// or not.
func TestNestedIsJSON(t *testing.T) {
	t.Parallel()
	deep := text("k", "v").Value
	for range 40 {
		deep = &commonpb.AnyValue{Value: &commonpb.AnyValue_ArrayValue{ArrayValue: &commonpb.ArrayValue{Values: []*commonpb.AnyValue{deep, deep}[:1]}}}
	}
	wide := &commonpb.KeyValueList{}
	for i := range 3000 {
		wide.Values = append(wide.Values, text(fmt.Sprintf("key \"%d\x00", i), strings.Repeat("\x02é", i%50)))
	}
	long := &commonpb.ArrayValue{Values: []*commonpb.AnyValue{
		{Value: &commonpb.AnyValue_BytesValue{BytesValue: make([]byte, 10_000)}}, text("", strings.Repeat("\"", 10_000)).Value,
	}}
	req := newLoad(1).request(1)
	s := req.ResourceSpans[0].ScopeSpans[0].Spans[0]
	s.Attributes = []*commonpb.KeyValue{
		{Key: "deep", Value: deep},
		{Key: "wide", Value: &commonpb.AnyValue{Value: &commonpb.AnyValue_KvlistValue{KvlistValue: wide}}},
		{Key: "long", Value: &commonpb.AnyValue{Value: &commonpb.AnyValue_ArrayValue{ArrayValue: long}}},
	}
	fromProto, fromJSON := decodeBoth(t, req)
	if diff := cmp.Diff(fromProto, fromJSON); diff != "" {
		t.Errorf("protobuf and JSON differ (-proto +json):\n%s", diff)
	}
	for _, a := range fromProto[0].Attrs {
		key, value, _ := strings.Cut(a, "=json ")
		if !json.Valid([]byte(value)) {
			t.Errorf("%s is not JSON: %.200s", key, value)
		}
		if len(value) > 4096+200 {
			t.Errorf("%s has %d bytes", key, len(value))
		}
	}
}

// TestFieldOrder gives the same message with its fields in reverse, which
// protobuf allows and no encoder does.
func TestFieldOrder(t *testing.T) {
	t.Parallel()
	req := rich()
	msg, err := proto.Marshal(req)
	if err != nil {
		t.Fatal(err)
	}
	in := newIntake(t)
	var d decoder
	d.begin(in)
	if err := d.proto(reverse(t, msg, 4)); err != nil {
		t.Fatal(err)
	}
	back := &collectorpb.ExportTraceServiceRequest{}
	if err := proto.Unmarshal(reverse(t, msg, 4), back); err != nil {
		t.Fatal(err)
	}
	want, ok := oracle(back)
	if !ok || len(want) != 4 {
		t.Fatalf("the oracle has %d spans, want 4", len(want))
	}
	if diff := cmp.Diff(want, plainBatch(d.Batch)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
