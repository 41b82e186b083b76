package rls

import (
	"errors"
	"strings"
	"testing"

	ratelimitv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/common/ratelimit/v3"
	pb "github.com/envoyproxy/go-control-plane/envoy/service/ratelimit/v3"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
	"pgregory.net/rapid"

	"github.com/binnacle-mesh/binnacle/quota"
	"github.com/binnacle-mesh/binnacle/quota/rule"
)

// FuzzDecode: the decoder accepts what the generated code accepts, sees the same in it, and refuses the rest.
func FuzzDecode(f *testing.F) {
	for _, r := range []*pb.RateLimitRequest{
		{},
		{Domain: "d", HitsAddend: 7, Descriptors: []*ratelimitv3.RateLimitDescriptor{{}}},
		{Domain: "shop", Descriptors: []*ratelimitv3.RateLimitDescriptor{
			{Entries: []*ratelimitv3.RateLimitDescriptor_Entry{{Key: "a", Value: "b"}, {Key: "c"}}, HitsAddend: wrapperspb.UInt64(0)},
			{Limit: &ratelimitv3.RateLimitDescriptor_RateLimitOverride{RequestsPerUnit: 9, Unit: 3, UnitMultiplier: wrapperspb.UInt32(2)}, IsNegativeHits: true},
		}},
	} {
		b, err := proto.Marshal(r)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add(protowire.AppendTag(nil, 9, protowire.StartGroupType))
	f.Add([]byte{0x0a, 1, 0xff})                                // a domain that is not UTF-8
	f.Add([]byte{0x12, 5, 0x0a, 3, 0x0a, 1, 0xff})              // a key
	f.Add([]byte{0x12, 5, 0x0a, 3, 0x12, 1, 0xff})              // a value
	f.Add([]byte{0x0a, 1, 'a', 0x0a, 1, 'b', 0x0d, 1, 2, 3, 4}) // a domain that stands twice, and once as another type
	f.Add([]byte{0x12, 0x80, 0x80, 0x80, 0x80, 0x10})
	f.Fuzz(func(t *testing.T, b []byte) {
		want := &pb.RateLimitRequest{}
		wantErr := proto.Unmarshal(b, want)
		var c call
		err := c.decode(b)
		if errors.Is(err, errTooLarge) {
			return
		}
		if (err != nil) != (wantErr != nil) {
			t.Fatalf("%x: %v; the generated code says %v", b, err, wantErr)
		}
		if err != nil {
			return
		}
		compare(t, want, &c)
	})
}

// compare fails unless c holds what the generated code decoded.
func compare(t *testing.T, want *pb.RateLimitRequest, c *call) {
	t.Helper()
	if string(c.req.Domain) != want.Domain || c.req.Hits != want.HitsAddend || len(c.req.Descriptors) != len(want.Descriptors) {
		t.Fatalf("got %q, %d hits, %d descriptors, want %v", c.req.Domain, c.req.Hits, len(c.req.Descriptors), want)
	}
	for i, w := range want.Descriptors {
		d := &c.req.Descriptors[i]
		if len(d.Entries) != len(w.Entries) {
			t.Fatalf("descriptor %d: %d entries, want %d", i, len(d.Entries), len(w.Entries))
		}
		for j, e := range w.Entries {
			if string(d.Entries[j].Key) != e.Key || string(d.Entries[j].Value) != e.Value {
				t.Fatalf("descriptor %d entry %d: %s=%s, want %v", i, j, d.Entries[j].Key, d.Entries[j].Value, e)
			}
		}
		if d.OwnHits != (w.HitsAddend != nil) || d.Hits != w.HitsAddend.GetValue() || d.Negative != w.IsNegativeHits {
			t.Fatalf("descriptor %d: hits %v %d %v, want %v", i, d.OwnHits, d.Hits, d.Negative, w)
		}
		unit := rule.UnknownUnit // numbers that name no unit may be decoded to any such
		if rule.Unit(w.Limit.GetUnit()).Valid() && w.Limit.GetUnit() < 256 && w.Limit.GetUnit() >= 0 {
			unit = rule.Unit(w.Limit.GetUnit())
		}
		got := d.Override
		if !got.Unit.Valid() {
			got.Unit = rule.UnknownUnit
		}
		wantLimit := rule.Limit{RequestsPerUnit: w.Limit.GetRequestsPerUnit(), Unit: unit, Multiplier: w.Limit.GetUnitMultiplier().GetValue()}
		if diff := cmp.Diff(wantLimit, got); diff != "" || d.OwnLimit != (w.Limit != nil) {
			t.Fatalf("descriptor %d: own limit (-want +got):\n%s", i, diff)
		}
	}
}

func TestDecodeBounds(t *testing.T) {
	t.Parallel()
	for name, r := range map[string]*pb.RateLimitRequest{
		"descriptors": {Descriptors: make([]*ratelimitv3.RateLimitDescriptor, maxDescriptors+1)},
		"entries": {Descriptors: []*ratelimitv3.RateLimitDescriptor{
			{Entries: make([]*ratelimitv3.RateLimitDescriptor_Entry, maxEntries)},
			{Entries: make([]*ratelimitv3.RateLimitDescriptor_Entry, 1)},
		}},
	} {
		for i := range r.Descriptors {
			if r.Descriptors[i] == nil {
				r.Descriptors[i] = &ratelimitv3.RateLimitDescriptor{}
			}
			for j := range r.Descriptors[i].Entries {
				r.Descriptors[i].Entries[j] = &ratelimitv3.RateLimitDescriptor_Entry{Key: "k"}
			}
		}
		b, err := proto.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if err := new(call).decode(b); !errors.Is(err, errTooLarge) {
			t.Errorf("too many %s: %v", name, err)
		}
	}
	long, err := proto.Marshal(&ratelimitv3.RateLimitDescriptor{Entries: []*ratelimitv3.RateLimitDescriptor_Entry{{Key: "k", Value: strings.Repeat("v", maxBytes)}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := new(call).decode(long); !errors.Is(err, errTooLarge) {
		t.Errorf("too many bytes: %v", err)
	}
}

// TestEncodeLengths: a length takes one byte or more, for messages within messages too.
func TestEncodeLengths(t *testing.T) {
	t.Parallel()
	for n := range 400 {
		var c call
		name := strings.Repeat("n", n)
		c.decision = quota.Decision{Config: new(quota.Config), Closest: -1, Statuses: []quota.Answer{{Limit: &rule.Limit{Name: name, Unit: rule.Day}}}}
		b, err := c.encode(nil)
		if err != nil {
			t.Fatal(err)
		}
		got := &pb.RateLimitResponse{}
		if err := proto.Unmarshal(b, got); err != nil {
			t.Fatalf("a name of %d bytes: %v", n, err)
		}
		if got.Statuses[0].GetCurrentLimit().GetName() != name {
			t.Fatalf("a name of %d bytes came back with %d", n, len(got.Statuses[0].GetCurrentLimit().GetName()))
		}
	}
}

// TestEncode: whatever the decision, the generated code reads back what was meant, lengths above 127 bytes included.
func TestEncode(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var c call
		want := &pb.RateLimitResponse{OverallCode: pb.RateLimitResponse_OK}
		if c.decision.Over = rapid.Bool().Draw(t, "over"); c.decision.Over {
			want.OverallCode = pb.RateLimitResponse_OVER_LIMIT
		}
		c.decision.Closest, c.decision.Config = -1, new(quota.Config)
		for range rapid.IntRange(0, 5).Draw(t, "statuses") {
			a := quota.Answer{Over: rapid.Bool().Draw(t, "over"), Remaining: rapid.Uint32().Draw(t, "remaining")}
			w := &pb.RateLimitResponse_DescriptorStatus{Code: pb.RateLimitResponse_OK, LimitRemaining: a.Remaining}
			if a.Over {
				w.Code = pb.RateLimitResponse_OVER_LIMIT
			}
			if rapid.Bool().Draw(t, "limited") {
				a.Reset = rapid.Int64Range(1, 1<<40).Draw(t, "reset")
				a.Limit = &rule.Limit{
					Name: rapid.StringN(0, 300, 400).Draw(t, "name"), RequestsPerUnit: rapid.Uint32().Draw(t, "requests"),
					Unit: rule.Unit(rapid.IntRange(1, 7).Draw(t, "unit")), Multiplier: rapid.Uint32Range(0, 300).Draw(t, "multiplier"),
				}
				w.DurationUntilReset = &durationpb.Duration{Seconds: a.Reset}
				w.CurrentLimit = &pb.RateLimitResponse_RateLimit{
					Name: a.Limit.Name, RequestsPerUnit: a.Limit.RequestsPerUnit, Unit: pb.RateLimitResponse_RateLimit_Unit(a.Limit.Unit),
				}
				if a.Limit.Multiplier > 0 {
					w.CurrentLimit.UnitMultiplier = wrapperspb.UInt32(a.Limit.Multiplier)
				}
			}
			c.decision.Statuses = append(c.decision.Statuses, a)
			want.Statuses = append(want.Statuses, w)
		}
		prefix := []byte("kept")
		b, err := c.encode(prefix)
		if err != nil {
			t.Fatal(err)
		}
		got := &pb.RateLimitResponse{}
		if err := proto.Unmarshal(b[len(prefix):], got); err != nil || string(b[:len(prefix)]) != "kept" {
			t.Fatalf("%x: %v", b, err)
		}
		if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
			t.Fatalf("-want +got:\n%s", diff)
		}
	})
}
