package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// The archive nezha-dev holds traces of two systems, OnlineBoutique and TrainTicket: of each incident up to three minutes from the
// injection on, and of each day one minute in which all was well. That minute is told healthyMinutes times over, right before the incident,
// since the judge, as in life, learns from minutes and not from one; its chance is that of one minute nevertheless. No span says that it
// failed, so that what is injected as an exception or an early return shows only in how long calls take, and in which are left out.
const healthyMinutes = 6

// nezhaLabel is what an incident's label says that is used here: who was struck, and when.
type nezhaLabel struct {
	System     string
	Unix       int64  `json:"inject_unix"`
	RootCause  string `json:"root_cause_service"`
	FaultType  string `json:"fault_type"`
	Normal     string
	TraceFiles []int `json:"trace_minutes"`
}

// nezha judges the incidents of both systems.
func nezha(ctx context.Context, file string) ([]*system, error) {
	files, err := archive(file, func(n string) bool {
		return strings.HasSuffix(n, "labels-dev.json") || strings.Contains(path.Base(n), "traces_")
	})
	if err != nil {
		return nil, err
	}
	labels := map[string]nezhaLabel{}
	if err := json.Unmarshal(files["nezha/labels-dev.json"], &labels); err != nil {
		return nil, fmt.Errorf("read the labels of %s: %w", file, err)
	}
	minutes := map[string][]call{} // of the days in which all was well
	boutique, train := &system{name: "OnlineBoutique"}, &system{name: "TrainTicket"}
	for _, name := range sortedKeys(labels) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		l := labels[name]
		s := boutique
		if l.System == "TT" {
			s = train
		}
		if len(l.TraceFiles) == 0 {
			s.unusable++
			continue
		}
		if minutes[l.Normal] == nil {
			if minutes[l.Normal], err = callsBelow(files, "nezha/"+l.Normal+"/"); err != nil {
				return nil, err
			}
		}
		ill, err := callsBelow(files, "nezha/dev/"+name+"/")
		if err != nil {
			return nil, err
		}
		s.incidents = append(s.incidents, judgeCalls(name+" "+l.FaultType, l.RootCause, minutes[l.Normal], ill, l.Unix*1e9))
	}
	return []*system{boutique, train}, nil
}

// judgeCalls has the judge and the baselines look at an incident of which there are spans.
func judgeCalls(name, cause string, normal, ill []call, injected int64) *incident {
	begin, end := slices.MinFunc(ill, byStart).start, slices.MaxFunc(ill, byStart).start
	minute := int64(time.Minute)
	var before []call
	last := slices.MaxFunc(normal, byStart).start
	for again := range int64(healthyMinutes) {
		for _, c := range normal {
			if c.start < last-minute { // a few of them began before their minute
				continue
			}
			c.start += begin - last - (again * minute) - 1e6
			c.trace[15] ^= byte(again + 1)
			before = append(before, c)
		}
	}
	s := newStage()
	in := newIncident(name, cause)
	s.play(append(before, ill...), end+int64(5*time.Second), func(g *telemetry.Graph) {
		in.see(s, g, s.now < max(begin, injected))
	})
	in.scene = sceneOf(normal, ill)
	return in
}

func byStart(a, b call) int { return cmp.Compare(a.start, b.start) }

// sceneOf compares how long the services' own spans took, and who calls whom.
func sceneOf(normal, ill []call) scene {
	usual, now, wrong := map[string]*spread{}, map[string]*spread{}, map[string]*spread{}
	for i := range normal {
		if c := &normal[i]; c.kind == telemetry.KindServer {
			of(usual, c.service).add(float64(c.took))
		}
	}
	s := scene{oddity: map[string]float64{}, calls: map[string][]string{}}
	service := map[telemetry.SpanID]string{}
	for i := range ill {
		c := &ill[i]
		service[c.id] = c.service
		if c.kind == telemetry.KindServer {
			of(now, c.service).add(float64(c.took))
			fails := 0.0
			if c.failed {
				fails = 1
			}
			of(wrong, c.service).add(fails)
		}
	}
	for name, n := range now {
		s.oddity[name] = of(usual, name).away(n.mean) + wrong[name].mean
	}
	for i := range ill {
		c := &ill[i]
		if from := service[c.parent]; from != "" && from != c.service && s.has(from) && s.has(c.service) && !slices.Contains(s.calls[from], c.service) {
			s.calls[from] = append(s.calls[from], c.service)
		}
	}
	return s
}

func (s *scene) has(service string) bool { _, ok := s.oddity[service]; return ok }

func of(m map[string]*spread, name string) *spread {
	if m[name] == nil {
		m[name] = new(spread)
	}
	return m[name]
}

// callsBelow reads the spans of all files below a folder of the archive.
func callsBelow(files map[string][]byte, folder string) (out []call, err error) {
	for _, name := range sortedKeys(files) {
		if !strings.HasPrefix(name, folder) {
			continue
		}
		for line := range bytes.Lines(files[name]) {
			if out, err = appendCalls(out, line); err != nil {
				return nil, fmt.Errorf("read %s: %w", name, err)
			}
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("no spans below %s", folder)
	}
	return out, nil
}

// otlp is what is read of an export request.
type otlp struct {
	ResourceSpans []struct {
		Resource   struct{ Attributes []attribute }
		ScopeSpans []struct {
			Spans []struct {
				TraceID           string `json:"traceId"`
				SpanID            string `json:"spanId"`
				ParentSpanID      string `json:"parentSpanId"`
				Kind              telemetry.SpanKind
				StartTimeUnixNano string
				EndTimeUnixNano   string
				Status            struct{ Code int }
				Attributes        []attribute
			}
		}
	}
}

type attribute struct {
	Key   string
	Value struct{ StringValue string }
}

func appendCalls(out []call, line []byte) ([]call, error) {
	var o otlp
	if err := json.Unmarshal(line, &o); err != nil {
		return nil, err
	}
	for _, rs := range o.ResourceSpans {
		var of call
		for _, a := range rs.Resource.Attributes {
			switch a.Key {
			case "service.name":
				of.service = a.Value.StringValue
			case "service.namespace":
				of.namespace = a.Value.StringValue
			}
		}
		for _, ss := range rs.ScopeSpans {
			for i := range ss.Spans {
				s := &ss.Spans[i]
				c := of
				begin, err := strconv.ParseInt(s.StartTimeUnixNano, 10, 64)
				if err != nil {
					return nil, err
				}
				end, err := strconv.ParseInt(s.EndTimeUnixNano, 10, 64)
				if err != nil {
					return nil, err
				}
				c.start, c.took, c.kind, c.failed = begin, max(0, end-begin), s.Kind, s.Status.Code == 2
				if err := ids(&c, s.TraceID, s.SpanID, s.ParentSpanID); err != nil {
					return nil, err
				}
				for _, a := range s.Attributes {
					if a.Key == "db.system" {
						c.system = a.Value.StringValue
					}
				}
				out = append(out, c)
			}
		}
	}
	return out, nil
}

func ids(c *call, trace, span, parent string) error {
	for _, x := range []struct {
		to   []byte
		from string
	}{{c.trace[:], trace}, {c.id[:], span}, {c.parent[:], parent}} {
		if len(x.from) > 2*len(x.to) {
			return fmt.Errorf("%q is no id", x.from)
		}
		if _, err := hex.Decode(x.to, []byte(x.from)); err != nil {
			return err
		}
	}
	return nil
}

// number makes an id of a number.
func number(n uint64) (id telemetry.SpanID) {
	binary.BigEndian.PutUint64(id[:], n)
	return id
}
