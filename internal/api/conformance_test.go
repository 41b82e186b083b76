package api_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/gogo/protobuf/jsonpb"
	"github.com/google/go-cmp/cmp"
	jaeger "github.com/jaegertracing/jaeger-idl/model/v1"
	translator "github.com/open-telemetry/opentelemetry-collector-contrib/pkg/translator/jaeger"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"pgregory.net/rapid"

	"github.com/binnacle-mesh/binnacle/internal/query"
	"github.com/binnacle-mesh/binnacle/internal/shelf"
)

const (
	jaegerFixtures = "fixtures/jaeger/cmd/jaeger/internal/extension/jaegerquery/internal/fixture/"
	uiFixtures     = "fixtures/jaeger-ui/packages/jaeger-ui/src/utils/fixtures/"
	modelFixtures  = "fixtures/jaeger/internal/uimodel/converter/v1/json/fixtures/"
)

func parse(t tester, b []byte) any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%v in %s", err, b)
	}
	return v
}

// answered is what the port answers for the one trace of td, once it is stored.
func answered(w *world, td ptrace.Traces, path string) []byte {
	b := batchOf(td)
	id := b.Spans[0].TraceID
	w.store.put(id, b)
	return w.ask("GET", path+id.String()).Body.Bytes()
}

// legacyOf is a trace as the legacy API writes it, in its envelope.
func legacyOf(t tester, w *world, td ptrace.Traces) any {
	t.Helper()
	return parse(t, answered(w, td, "/api/traces/"))
}

// TestJaegerLegacyConversion: a trace of every kind of value, and what Jaeger's answer to it must be, written by us after Jaeger's
// model and OpenTelemetry's rules of translation.
func TestJaegerLegacyConversion(t *testing.T) {
	t.Parallel()
	own := shelf.Own(t, "jaeger")
	got := legacyOf(t, newWorld(t), readOTLP(t, own["conversion-in.json"]))
	if diff := cmp.Diff(parse(t, own["conversion-out.json"]), got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestJaegerLegacyEqualsJaegersOwnConversion: what Jaeger's query service and its UI
// make of an OTLP file, as their repositories keep it, is what we make of it.
func TestJaegerLegacyEqualsJaegersOwnConversion(t *testing.T) {
	t.Parallel()
	files, ok := fixtures(t, jaegerFixtures+"otlp2jaeger-in.json", jaegerFixtures+"otlp2jaeger-out.json",
		uiFixtures+"otlp2jaeger-multi-in-combined.json", uiFixtures+"oltp2jaeger-multi-out.json")
	if !ok {
		return
	}
	w := newWorld(t)
	got := legacyOf(t, w, readOTLP(t, files[jaegerFixtures+"otlp2jaeger-in.json"]))
	if diff := cmp.Diff(parse(t, files[jaegerFixtures+"otlp2jaeger-out.json"]), got); diff != "" {
		t.Errorf("otlp2jaeger (-Jaeger's +ours):\n%s", diff)
	}

	// This file is what the page holds after it has worked on the answer: without
	// what the page adds, and with the older names of the scope's tags renamed.
	want := parse(t, bytes.ReplaceAll(files[uiFixtures+"oltp2jaeger-multi-out.json"], []byte("otel.library."), []byte("otel.scope."))).(map[string]any)
	trace := want["data"].([]any)[0].(map[string]any)
	for _, s := range trace["spans"].([]any) {
		span := s.(map[string]any)
		for _, added := range []string{"process", "relativeStartTime", "depth", "hasChildren", "childSpanIds"} {
			delete(span, added)
		}
		span["warnings"] = nil
		for _, r := range span["references"].([]any) {
			delete(r.(map[string]any), "span")
		}
	}
	bySpanID := func(data any) map[string]any {
		out := map[string]any{}
		for _, s := range data.(map[string]any)["spans"].([]any) {
			out[s.(map[string]any)["spanID"].(string)] = s
		}
		return out
	}
	ours := legacyOf(t, w, readOTLP(t, files[uiFixtures+"otlp2jaeger-multi-in-combined.json"])).(map[string]any)["data"].([]any)[0]
	if diff := cmp.Diff(bySpanID(trace), bySpanID(ours)); diff != "" {
		t.Errorf("otlp2jaeger-multi, spans (-Jaeger's +ours):\n%s", diff)
	}
	if diff := cmp.Diff(trace["processes"], ours.(map[string]any)["processes"]); diff != "" {
		t.Errorf("otlp2jaeger-multi, processes (-Jaeger's +ours):\n%s", diff)
	}
}

// naiveUI is Jaeger's model as its UI reads it: an oracle that knows nothing of
// telemetry. TestTheOracleIsRight holds it to Jaeger's own fixture.
func naiveUI(spans []*jaeger.Span) map[string]any {
	tags := func(kvs []jaeger.KeyValue) []any {
		out := []any{}
		for _, x := range kvs {
			var v any = x.VStr
			switch x.VType {
			case jaeger.ValueType_BOOL:
				v = x.VBool
			case jaeger.ValueType_INT64:
				v = x.VInt64
				if x.VInt64 > 1<<53-1 || x.VInt64 < -(1<<53-1) {
					v = strconv.FormatInt(x.VInt64, 10)
				}
			case jaeger.ValueType_FLOAT64:
				v = x.VFloat64
			case jaeger.ValueType_BINARY:
				v = x.VBinary
			default:
			}
			out = append(out, map[string]any{"key": x.Key, "type": strings.ToLower(x.VType.String()), "value": v})
		}
		return out
	}
	list, processes, names := []any{}, map[string]any{}, map[string]string{}
	for _, s := range spans {
		refs, logs := []any{}, []any{}
		for _, r := range s.References {
			refs = append(refs, map[string]any{"refType": r.RefType.String(), "traceID": r.TraceID.String(), "spanID": r.SpanID.String()})
		}
		for _, l := range s.Logs {
			logs = append(logs, map[string]any{"timestamp": l.Timestamp.UnixMicro(), "fields": tags(l.Fields)})
		}
		process := map[string]any{"serviceName": s.Process.ServiceName, "tags": tags(s.Process.Tags)}
		content := fmt.Sprint(process)
		if names[content] == "" {
			names[content] = fmt.Sprintf("p%d", len(names)+1)
			processes[names[content]] = process
		}
		list = append(list, map[string]any{
			"traceID": s.TraceID.String(), "spanID": s.SpanID.String(), "operationName": s.OperationName, "references": refs,
			"startTime": s.StartTime.UnixMicro(), "duration": s.Duration.Microseconds(), "tags": tags(s.Tags), "logs": logs,
			"processID": names[content], "warnings": s.Warnings,
		})
	}
	return map[string]any{"traceID": spans[0].TraceID.String(), "spans": list, "processes": processes, "warnings": nil}
}

func viaJSON(t tester, v any) any {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, b)
}

func TestTheOracleIsRight(t *testing.T) {
	t.Parallel()
	check := func(model, ui []byte) {
		t.Helper()
		var trace jaeger.Trace
		if err := jsonpb.Unmarshal(bytes.NewReader(model), &trace); err != nil {
			t.Fatal(err)
		}
		want := parse(t, ui).(map[string]any)
		want["warnings"] = nil // of the trace; a trace of ours has none
		if diff := cmp.Diff(any(want), viaJSON(t, naiveUI(trace.Spans))); diff != "" {
			t.Errorf("the oracle is not Jaeger (-Jaeger's +oracle):\n%s", diff)
		}
	}
	own := shelf.Own(t, "jaeger")
	check(own["model-domain.json"], own["model-ui.json"])
	if files, ok := fixtures(t, modelFixtures+"domain_01.json", modelFixtures+"ui_01.json"); ok {
		check(files[modelFixtures+"domain_01.json"], files[modelFixtures+"ui_01.json"])
	}
}

// compareWithTranslator holds one trace to OpenTelemetry's own translation into
// Jaeger's model, which is what Jaeger itself answers from.
func compareWithTranslator(t tester, w *world, td ptrace.Traces) {
	t.Helper()
	var spans []*jaeger.Span
	for _, batch := range translator.ProtoFromTraces(td) {
		for _, s := range batch.Spans {
			s.Process = batch.Process
			if s.Process.ServiceName == "OTLPResourceNoServiceName" || s.Process.ServiceName == "" {
				s.Process.ServiceName = query.UnknownService
			}
			spans = append(spans, s)
		}
	}
	slices.SortStableFunc(spans, func(a, b *jaeger.Span) int {
		if c := a.StartTime.Compare(b.StartTime); c != 0 {
			return c
		}
		return int(b.Duration - a.Duration)
	})
	want := viaJSON(t, naiveUI(spans))
	got := legacyOf(t, w, td).(map[string]any)["data"].([]any)[0]
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("not what OpenTelemetry's translator and Jaeger make of it (-theirs +ours):\n%s", diff)
	}
}

// flat is every span with its resource and scope, written by OpenTelemetry's own
// encoder, in no order. Scope attributes are left out: a batch does not keep them.
func flat(t tester, td ptrace.Traces) []string {
	t.Helper()
	var out []string
	for _, one := range traceByTrace(td) {
		for _, rs := range one.ResourceSpans().All() {
			single := ptrace.NewTraces()
			r := single.ResourceSpans().AppendEmpty()
			rs.Resource().CopyTo(r.Resource())
			rs.ScopeSpans().At(0).CopyTo(r.ScopeSpans().AppendEmpty())
			r.ScopeSpans().At(0).Scope().Attributes().Clear()
			r.ScopeSpans().At(0).SetSchemaUrl("")
			b, err := (&ptrace.JSONMarshaler{}).MarshalTraces(single)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, string(b))
		}
	}
	slices.Sort(out)
	return out
}

// compareRoundTrip holds v3's OTLP JSON to OpenTelemetry's own decoder: it reads
// what was put in.
func compareRoundTrip(t tester, w *world, td ptrace.Traces) {
	t.Helper()
	var got struct{ Result json.RawMessage }
	if err := json.Unmarshal(answered(w, td, "/api/v3/traces/"), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(flat(t, td), flat(t, readOTLP(t, got.Result))); diff != "" {
		t.Fatalf("OpenTelemetry reads back something else (-put in +read):\n%s", diff)
	}
}

// TestJaegerAnswersOnPayloads runs both comparisons on the OTLP files of our own, and where the shelf is on every payload that
// Jaeger's stores are tested with and on traces of a real deployment.
func TestJaegerAnswersOnPayloads(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	compare := func(files map[string][]byte) (traces int) {
		t.Helper()
		for _, b := range files {
			for line := range bytes.Lines(compact(t, b)) {
				for _, td := range traceByTrace(readOTLP(t, line)) {
					compareWithTranslator(t, w, td)
					compareRoundTrip(t, w, td)
					traces++
				}
			}
		}
		return traces
	}
	own := shelf.Own(t, "jaeger")
	maps.DeleteFunc(own, func(_ string, b []byte) bool { return !bytes.Contains(b, []byte(`"resourceSpans"`)) })
	if n := compare(own); n != 7 {
		t.Errorf("%d traces of our own were compared", n)
	}
	if files, ok := fixtures(t, "fixtures/jaeger/internal/storage/v2/*/tracestore/fixtures/otel_traces_01.json",
		"fixtures/jaeger/internal/storage/v2/memory/fixtures/otel_traces_01.json", jaegerFixtures+"otlp2jaeger-in.json",
		uiFixtures+"otlp2jaeger-multi-in-combined.json", "dsb_jaeger/dsb.otlp.jsonl"); ok {
		n := compare(files)
		t.Logf("%d traces of %d files are as OpenTelemetry and Jaeger have them", n, len(files))
		if n < 20 {
			t.Errorf("only %d traces were compared", n)
		}
	}
}

// compact puts each JSON value of b on a line of its own.
func compact(t testing.TB, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	for d := json.NewDecoder(bytes.NewReader(b)); d.More(); {
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			t.Fatal(err)
		}
		if err := json.Compact(&out, raw); err != nil {
			t.Fatal(err)
		}
		out.WriteByte('\n')
	}
	return out.Bytes()
}

// TestJaegerAnswersOnAnyTrace runs both comparisons on traces that rapid makes up.
func TestJaegerAnswersOnAnyTrace(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	rapid.Check(t, func(rt *rapid.T) {
		td := drawTraces(rt)
		compareWithTranslator(rt, w, td)
		compareRoundTrip(rt, w, td)
	})
}

func drawTraces(t *rapid.T) ptrace.Traces {
	td := ptrace.NewTraces()
	id := [16]byte{15: 1}
	if rapid.Bool().Draw(t, "128 bits") {
		id[0] = 7
	}
	n := byte(0)
	for range rapid.IntRange(1, 3).Draw(t, "resources") {
		rs := td.ResourceSpans().AppendEmpty()
		rs.Resource().Attributes().PutStr("service.name", rapid.SampledFrom([]string{"a", "b"}).Draw(t, "service"))
		drawAttributes(t, rs.Resource().Attributes().PutStr, rs.Resource().Attributes().PutInt)
		for range rapid.IntRange(1, 2).Draw(t, "scopes") {
			ss := rs.ScopeSpans().AppendEmpty()
			ss.Scope().SetName(rapid.SampledFrom([]string{"", "s"}).Draw(t, "scope"))
			ss.Scope().SetVersion(rapid.SampledFrom([]string{"", "1"}).Draw(t, "version"))
			for range rapid.IntRange(1, 3).Draw(t, "spans") {
				n++
				drawSpan(t, ss.Spans().AppendEmpty(), id, n)
			}
		}
	}
	return td
}

func drawSpan(t *rapid.T, s ptrace.Span, id [16]byte, n byte) {
	s.SetTraceID(id)
	s.SetSpanID([8]byte{7: n})
	if rapid.Bool().Draw(t, "has parent") {
		s.SetParentSpanID([8]byte{7: byte(rapid.IntRange(1, 9).Draw(t, "parent"))})
	}
	s.SetName(rapid.String().Draw(t, "name"))
	s.SetKind(ptrace.SpanKind(rapid.IntRange(0, 5).Draw(t, "kind")))
	s.Status().SetCode(ptrace.StatusCode(rapid.IntRange(0, 2).Draw(t, "status")))
	s.Status().SetMessage(rapid.SampledFrom([]string{"", "it broke"}).Draw(t, "message"))
	s.TraceState().FromRaw(rapid.SampledFrom([]string{"", "k=v"}).Draw(t, "state"))
	s.SetFlags(uint32(rapid.SampledFrom([]int{0, 1, 0x301}).Draw(t, "flags")))
	start := rapid.Uint64Range(1_700_000_000_000_000_000, 1_700_000_000_000_009_999).Draw(t, "start")
	s.SetStartTimestamp(pcommonTime(start))
	s.SetEndTimestamp(pcommonTime(start + rapid.Uint64Range(0, 5000).Draw(t, "duration")))
	a := s.Attributes()
	drawAttributes(t, a.PutStr, a.PutInt)
	a.PutDouble("double", rapid.Float64().Draw(t, "double"))
	a.PutBool("bool", rapid.Bool().Draw(t, "bool"))
	a.PutEmptyBytes("bytes").FromRaw(rapid.SliceOfN(rapid.Byte(), 1, 9).Draw(t, "bytes"))
	list := a.PutEmptySlice("list")
	list.AppendEmpty().SetStr(rapid.String().Draw(t, "in list"))
	list.AppendEmpty().SetInt(rapid.Int64().Draw(t, "int in list"))
	for range rapid.IntRange(0, 2).Draw(t, "events") {
		e := s.Events().AppendEmpty()
		e.SetName(rapid.SampledFrom([]string{"", "exception"}).Draw(t, "event"))
		e.SetTimestamp(pcommonTime(start + 1))
		if rapid.Bool().Draw(t, "named by attribute") {
			e.Attributes().PutStr("event", "named")
		}
	}
	for range rapid.IntRange(0, 2).Draw(t, "links") {
		l := s.Links().AppendEmpty()
		l.SetTraceID(id)
		l.SetSpanID([8]byte{7: byte(rapid.IntRange(1, 9).Draw(t, "link"))})
		if k := rapid.SampledFrom([]string{"", "child_of", "follows_from"}).Draw(t, "ref type"); k != "" {
			l.Attributes().PutStr("opentracing.ref_type", k)
		}
	}
}

func drawAttributes(t *rapid.T, text func(k, v string), number func(string, int64)) {
	if rapid.Bool().Draw(t, "text") {
		text("text", rapid.String().Draw(t, "value"))
	}
	if rapid.Bool().Draw(t, "number") {
		number("number", rapid.Int64().Draw(t, "value"))
	}
}

// notAsked are the searches of Jaeger's list that match attributes of events, of
// links and of scopes, which a telemetry.SpanQuery does not ask for.
var notAsked = []string{"Logs", "different spots", "Multi-spot", "Tags + Operation name + Duration range", "Scope Attributes", "Link Attributes"}

// TestJaegerSearches asks searches of our own over traces of our own, and where the shelf is Jaeger's own list over Jaeger's
// traces; both find the traces that Jaeger must find.
func TestJaegerSearches(t *testing.T) {
	t.Parallel()
	own := shelf.Own(t, "jaeger/searches")
	if n := searches(t, own, "queries.json"); n != 19 {
		t.Errorf("%d searches of our own were asked", n)
	}
	const dir = "fixtures/jaeger/internal/storage/integration/fixtures/"
	if files, ok := fixtures(t, dir+"queries.json", dir+"traces/*.json"); ok {
		n := searches(t, files, dir+"queries.json")
		t.Logf("%d of Jaeger's searches", n)
		if n < 10 {
			t.Error("these are too few")
		}
	}
}

// searches stores the traces among files, asks the searches in one of them, and returns how many were asked.
func searches(t *testing.T, files map[string][]byte, queries string) (asked int) {
	t.Helper()
	w := newWorld(t)
	ids := map[string]string{}
	for name, b := range files {
		base := strings.TrimSuffix(name[strings.LastIndex(name, "/")+1:], ".json")
		if base == "queries" {
			continue
		}
		batch := batchOf(readOTLP(t, b))
		w.store.put(batch.Spans[0].TraceID, batch)
		ids[base] = batch.Spans[0].TraceID.String()
	}
	var cases []struct {
		Caption string
		Query   struct {
			ServiceName, OperationName string
			Tags                       map[string]any
			StartTimeMin, StartTimeMax string
			DurationMin, DurationMax   int64
			NumTraces                  int
		}
		ExpectedFixtures []string
	}
	if err := json.Unmarshal(files[queries], &cases); err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		if slices.ContainsFunc(notAsked, func(s string) bool { return strings.Contains(c.Caption, s) }) {
			continue
		}
		var want []string
		for _, f := range c.ExpectedFixtures {
			if ids[f] == "" {
				t.Fatalf("%s: no fixture %q", c.Caption, f)
			}
			want = append(want, ids[f])
		}
		slices.Sort(want)
		q := url.Values{}
		q.Set("query.service_name", c.Query.ServiceName)
		q.Set("query.operation_name", c.Query.OperationName)
		q.Set("query.start_time_min", c.Query.StartTimeMin)
		q.Set("query.start_time_max", c.Query.StartTimeMax)
		q.Set("query.num_traces", strconv.Itoa(c.Query.NumTraces))
		q.Set("query.duration_min", strconv.FormatInt(c.Query.DurationMin, 10)+"ns")
		q.Set("query.duration_max", strconv.FormatInt(c.Query.DurationMax, 10)+"ns")
		if len(c.Query.Tags) > 0 {
			tags, err := json.Marshal(c.Query.Tags)
			if err != nil {
				t.Fatal(err)
			}
			q.Set("query.attributes", string(tags))
		}
		rec := w.ask("GET", "/api/v3/trace-summaries?"+q.Encode())
		var got struct{ Summaries []struct{ TraceID string } }
		b := body(t, rec)
		if err := json.Unmarshal(b, &got); err != nil || rec.Code != 200 {
			t.Fatalf("%s: %d %v %s", c.Caption, rec.Code, err, b)
		}
		var have []string
		for _, s := range got.Summaries {
			have = append(have, s.TraceID)
		}
		slices.Sort(have)
		if diff := cmp.Diff(want, have); diff != "" {
			t.Errorf("%s (-Jaeger's +ours):\n%s", c.Caption, diff)
		}
		asked++
	}
	return asked
}
