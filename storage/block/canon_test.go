package block

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// The canonical form of what a batch holds: strings in place of numbers, attributes in
// order. Two batches that say the same have the same.

type canonAttr struct{ Key, Type, Value string }

type canonNested struct {
	Time  int64
	Name  string
	Trace telemetry.TraceID
	Span  telemetry.SpanID
	Attrs []canonAttr
}

type canonSpan struct {
	Span                                      telemetry.Span // without what refers to the batch
	Name, Message, State, Scope, ScopeVersion string
	Peer, PeerNamespace, PeerSystem, Cluster  string
	Identity                                  [8]string
	Resource, Attrs                           []canonAttr
	Events, Links                             []canonNested
}

type canonRequest struct {
	Request        telemetry.Request
	Texts          [8]string
	Identity, Peer [8]string
	Resource       []canonAttr
	Attrs          []canonAttr
}

func canonAttrs(b *telemetry.Batch, r telemetry.Range) []canonAttr {
	var out []canonAttr
	for _, a := range b.AttrsOf(r) {
		v := strconv.FormatUint(a.Value, 16)
		if a.Type == telemetry.AttrString || a.Type >= telemetry.AttrBytes {
			v = b.CopyStr(a.String())
		}
		out = append(out, canonAttr{b.CopyStr(a.Key), fmt.Sprint(a.Type), v})
	}
	slices.SortFunc(out, func(x, y canonAttr) int {
		return cmp.Or(cmp.Compare(x.Key, y.Key), cmp.Compare(x.Type, y.Type), cmp.Compare(x.Value, y.Value))
	})
	return out
}

func canonIdentity(b *telemetry.Batch, id *telemetry.Identity) (out [8]string) {
	for i, s := range identityParts(id) {
		out[i] = b.CopyStr(s)
	}
	return out
}

func canonSpans(b *telemetry.Batch) []canonSpan {
	var out []canonSpan
	for _, s := range b.Spans {
		c := canonSpan{
			Name: b.CopyStr(s.Name), Message: b.CopyStr(s.StatusMessage), State: b.CopyStr(s.TraceState),
			Scope: b.CopyStr(s.ScopeName), ScopeVersion: b.CopyStr(s.ScopeVersion), Peer: b.CopyStr(s.Peer),
			PeerNamespace: b.CopyStr(s.PeerNamespace), PeerSystem: b.CopyStr(s.PeerSys), Cluster: b.CopyStr(s.Cluster),
			Identity: canonIdentity(b, &b.Resources[s.Resource].Identity), Resource: canonAttrs(b, b.Resources[s.Resource].Attrs),
			Attrs: canonAttrs(b, s.Attrs),
		}
		for i := range s.Events.Len {
			e := b.Events[s.Events.Start+i]
			c.Events = append(c.Events, canonNested{Time: e.Time, Name: b.CopyStr(e.Name), Attrs: canonAttrs(b, e.Attrs)})
		}
		for i := range s.Links.Len {
			l := b.Links[s.Links.Start+i]
			c.Links = append(c.Links, canonNested{Trace: l.TraceID, Span: l.SpanID, Attrs: canonAttrs(b, l.Attrs)})
		}
		s.Name, s.StatusMessage, s.TraceState, s.Resource, s.ScopeName, s.ScopeVersion = 0, 0, 0, 0, 0, 0
		s.Attrs, s.Events, s.Links = telemetry.Range{}, telemetry.Range{}, telemetry.Range{}
		s.Peer, s.PeerNamespace, s.PeerSys, s.Cluster = 0, 0, 0, 0
		c.Span = s
		out = append(out, c)
	}
	return out
}

func canonRequests(b *telemetry.Batch) []canonRequest {
	var out []canonRequest
	for _, r := range b.Requests {
		c := canonRequest{
			Identity: canonIdentity(b, &b.Resources[r.Resource].Identity), Resource: canonAttrs(b, b.Resources[r.Resource].Attrs),
			Peer: canonIdentity(b, &r.Peer), Attrs: canonAttrs(b, r.Attrs),
		}
		for i, s := range [...]telemetry.StrID{r.Method, r.Path, r.Authority, r.RequestID.Text, r.Route, r.Cluster, r.Upstream.Host, r.Remote.Host} {
			c.Texts[i] = b.CopyStr(s)
		}
		r.Resource, r.Peer, r.Attrs = 0, telemetry.Identity{}, telemetry.Range{}
		r.Method, r.Path, r.Authority, r.RequestID.Text, r.Route, r.Cluster, r.Upstream.Host, r.Remote.Host = 0, 0, 0, 0, 0, 0, 0, 0
		c.Request = r
		out = append(out, c)
	}
	return out
}

// inOrder sorts by the text of everything, so that sets compare.
func inOrder[T any](xs []T) []T {
	slices.SortStableFunc(xs, func(a, b T) int { return cmp.Compare(fmt.Sprintf("%+v", a), fmt.Sprintf("%+v", b)) })
	return xs
}

// distinct drops values that come twice.
func distinct[T any](xs []T) []T {
	return slices.CompactFunc(inOrder(xs), func(a, b T) bool { return fmt.Sprintf("%+v", a) == fmt.Sprintf("%+v", b) })
}
