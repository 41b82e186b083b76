package rls

import (
	"fmt"

	"google.golang.org/protobuf/types/known/structpb"

	"github.com/binnacle-mesh/binnacle/quota"
)

// metadata makes dynamic_metadata as envoyproxy/ratelimit lays it out: what was asked, and the merged metadata of the rules that
// let it pass, by which a proxy can choose a service that still has quota. It is optional and may allocate.
func metadata(req *quota.Request, d *quota.Decision) *structpb.Struct {
	descriptors := &structpb.ListValue{}
	for i := range req.Descriptors {
		descriptors.Values = append(descriptors.Values, structpb.NewStructValue(describe(&req.Descriptors[i])))
	}
	all := map[string]*structpb.Value{
		"domain":      structpb.NewStringValue(string(req.Domain)),
		"descriptors": structpb.NewListValue(descriptors),
	}
	if req.Hits != 0 {
		all["hitsAddend"] = structpb.NewNumberValue(float64(req.Hits))
	}
	passed := &structpb.Struct{Fields: make(map[string]*structpb.Value)}
	for i := range d.Statuses {
		if a := &d.Statuses[i]; !a.Over && a.Rule != nil && a.Limit != nil && a.Rule.Metadata != nil {
			merge(passed, a.Rule.Metadata)
		}
	}
	if len(passed.Fields) > 0 {
		all["metadata"] = structpb.NewStructValue(passed)
	}
	return &structpb.Struct{Fields: all}
}

func describe(d *quota.Descriptor) *structpb.Struct {
	entries := &structpb.ListValue{}
	for i := range d.Entries {
		entries.Values = append(entries.Values, structpb.NewStringValue(fmt.Sprintf("%s=%s", d.Entries[i].Key, d.Entries[i].Value)))
	}
	fields := map[string]*structpb.Value{"entries": structpb.NewListValue(entries)}
	if d.OwnLimit {
		fields["limit"] = structpb.NewStringValue(fmt.Sprintf("requests_per_unit:%d unit:%s", d.Override.RequestsPerUnit, d.Override.Unit))
	}
	if d.OwnHits {
		fields["hitsAddend"] = structpb.NewNumberValue(float64(d.Hits))
	}
	return &structpb.Struct{Fields: fields}
}

// merge adds to dst what src has more, maps within maps. What dst has stays. src belongs to a rule and is not changed, nor is
// anything of it changed later through dst.
func merge(dst, src *structpb.Struct) {
	for k, v := range src.Fields {
		have, ok := dst.Fields[k]
		switch {
		case !ok && v.GetStructValue() != nil:
			inner := &structpb.Struct{Fields: make(map[string]*structpb.Value)}
			merge(inner, v.GetStructValue())
			dst.Fields[k] = structpb.NewStructValue(inner)
		case !ok:
			dst.Fields[k] = v
		case have.GetStructValue() != nil && v.GetStructValue() != nil:
			merge(have.GetStructValue(), v.GetStructValue())
		}
	}
}
