package rls_test

import (
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	ratelimitv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/common/ratelimit/v3"
	pb "github.com/envoyproxy/go-control-plane/envoy/service/ratelimit/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/binnacle-mesh/binnacle/quota"
	"github.com/binnacle-mesh/binnacle/quota/rls"
	"github.com/binnacle-mesh/binnacle/quota/rule"
)

func silent() *slog.Logger { return slog.New(slog.DiscardHandler) }

// newService makes a service of rule files by name.
func newService(cfg quota.Config, files map[string]string) (*rls.Service, *quota.Engine, error) {
	reg := prometheus.NewPedanticRegistry()
	e, err := quota.New(cfg, ruleFiles(files), quota.Deps{Secret: quota.RandomSecret(), Log: silent(), Registerer: reg}, time.Unix(0, 0))
	if err != nil {
		return nil, nil, err
	}
	s, err := rls.New(e, reg)
	return s, e, err
}

// ruleFiles puts files in the order of their names.
func ruleFiles(files map[string]string) (all []rule.File) {
	for _, name := range slices.Sorted(maps.Keys(files)) {
		all = append(all, rule.File{Name: name, Content: []byte(files[name])})
	}
	return all
}

// story is the state that the lines of a story change.
type story struct {
	cfg     quota.Config
	service *rls.Service
	engine  *quota.Engine
	now     time.Time
}

// TestStories tells the rules of the protocol and of envoyproxy/ratelimit, each as what a proxy asks and what it is answered:
//
//	config      fields of quota.Config, as field=value; takes effect with the next rules or reload
//	rules       name=value …: rule files (one per "--- name" line; f.yaml without one)
//	reload      new rule files for the running engine
//	at          sets the clock: seconds of the epoch, or +duration
//	ask         domain=… [hits=n]; each line a descriptor: key=value … [hits:n] [limit:n/UNIT[*m]] [refund]
//	status      rules with their counts
//	edges       throttled pairs of services
func TestStories(t *testing.T) {
	t.Parallel()
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		s := &story{cfg: quota.DefaultConfig(), now: time.Unix(0, 0)}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			switch d.Cmd {
			case "config":
				return s.config(t, d)
			case "rules":
				return s.rules(d)
			case "reload":
				return s.reload(d)
			case "at":
				return s.at(t, d)
			case "ask":
				return s.ask(t, d)
			case "status":
				return s.status()
			case "edges":
				return s.edges()
			}
			t.Fatalf("%s: no command %s", d.Pos, d.Cmd)
			return ""
		})
	})
}

func (s *story) config(t *testing.T, d *datadriven.TestData) string {
	s.cfg = quota.DefaultConfig()
	for _, a := range d.CmdArgs {
		on := a.Vals[0] == "true"
		switch a.Key {
		case "shadow_mode":
			s.cfg.ShadowMode = on
		case "quota_mode":
			s.cfg.QuotaMode = on
		case "merge_domains":
			s.cfg.MergeDomains = on
		case "count_refused":
			s.cfg.CountRefused = on
		case "headers":
			s.cfg.Headers.Enabled = on
		case "standard_headers":
			s.cfg.Headers.Standard = on
		case "dynamic_metadata":
			s.cfg.DynamicMetadata = on
		case "max_keys":
			n, err := strconv.Atoi(a.Vals[0])
			if err != nil {
				t.Fatal(err)
			}
			s.cfg.MaxKeys = n
		default:
			t.Fatalf("%s: no setting %s", d.Pos, a.Key)
		}
	}
	return ""
}

func split(input string) map[string]string {
	files, name := map[string]string{}, "f.yaml"
	for line := range strings.Lines(input) {
		if n, ok := strings.CutPrefix(line, "--- "); ok {
			name = strings.TrimSpace(n)
			continue
		}
		files[name] += line
	}
	return files
}

func (s *story) rules(d *datadriven.TestData) (out string) {
	var err error
	if s.service, s.engine, err = newService(s.cfg, split(d.Input)); err != nil {
		return err.Error() + "\n"
	}
	return "loaded\n"
}

func (s *story) reload(d *datadriven.TestData) string {
	out := "loaded"
	if commit, err := s.engine.Prepare(s.cfg, ruleFiles(split(d.Input)), s.now); err != nil {
		out = err.Error()
	} else {
		commit()
	}
	return fmt.Sprintf("%s\ngeneration %d\n", out, s.engine.Status(s.now).Generation)
}

func (s *story) at(t *testing.T, d *datadriven.TestData) string {
	arg := d.CmdArgs[0].Key
	if after, ok := strings.CutPrefix(arg, "+"); ok {
		by, err := time.ParseDuration(after)
		if err != nil {
			t.Fatal(err)
		}
		s.now = s.now.Add(by)
	} else if sec, err := strconv.ParseInt(arg, 10, 64); err == nil {
		s.now = time.Unix(sec, 0)
	} else {
		t.Fatal(err)
	}
	s.engine.Tick(s.now)
	return s.now.UTC().Format("Mon 2006-01-02 15:04:05\n")
}

func (s *story) ask(t *testing.T, d *datadriven.TestData) string {
	req := &pb.RateLimitRequest{}
	for _, a := range d.CmdArgs {
		switch a.Key {
		case "domain":
			req.Domain = a.Vals[0]
		case "hits":
			n, err := strconv.ParseUint(a.Vals[0], 10, 32)
			if err != nil {
				t.Fatal(err)
			}
			req.HitsAddend = uint32(n)
		}
	}
	times := 1
	if d.HasArg("times") {
		d.ScanArgs(t, "times", &times)
	}
	for line := range strings.Lines(d.Input) {
		req.Descriptors = append(req.Descriptors, parseDescriptor(t, line))
	}
	in, err := proto.Marshal(req)
	if err != nil {
		t.Fatal(err)
	}
	var out []byte
	for range times {
		if out, err = s.service.ShouldRateLimit(t.Context(), in, nil, s.now); err != nil {
			return fmt.Sprintf("error: %v\n", err)
		}
	}
	resp := &pb.RateLimitResponse{}
	if err := proto.Unmarshal(out, resp); err != nil {
		t.Fatalf("the answer cannot be decoded: %v", err)
	}
	return show(t, resp)
}

func parseDescriptor(t *testing.T, line string) *ratelimitv3.RateLimitDescriptor {
	desc := &ratelimitv3.RateLimitDescriptor{}
	for word := range strings.FieldsSeq(line) {
		if n, ok := strings.CutPrefix(word, "hits:"); ok {
			v, err := strconv.ParseUint(n, 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			desc.HitsAddend = wrapperspb.UInt64(v)
		} else if l, ok := strings.CutPrefix(word, "limit:"); ok {
			n, unit, _ := strings.Cut(l, "/")
			unit, multiplier, multiplied := strings.Cut(unit, "*")
			v, err := strconv.ParseUint(n, 10, 32)
			if err != nil {
				t.Fatal(err)
			}
			number, ok := typev3.RateLimitUnit_value[unit]
			if !ok { // WEEK is in the response's enumeration only
				number = pb.RateLimitResponse_RateLimit_Unit_value[unit]
			}
			desc.Limit = &ratelimitv3.RateLimitDescriptor_RateLimitOverride{RequestsPerUnit: uint32(v), Unit: typev3.RateLimitUnit(number)}
			if multiplied {
				m, err := strconv.ParseUint(multiplier, 10, 32)
				if err != nil {
					t.Fatal(err)
				}
				desc.Limit.UnitMultiplier = wrapperspb.UInt32(uint32(m))
			}
		} else if word == "refund" {
			desc.IsNegativeHits = true
		} else {
			k, v, _ := strings.Cut(word, "=")
			desc.Entries = append(desc.Entries, &ratelimitv3.RateLimitDescriptor_Entry{Key: k, Value: v})
		}
	}
	return desc
}

func show(t *testing.T, r *pb.RateLimitResponse) string {
	var b strings.Builder
	fmt.Fprintln(&b, r.OverallCode)
	for _, st := range r.Statuses {
		fmt.Fprintf(&b, "  %v", st.Code)
		if l := st.CurrentLimit; l != nil {
			fmt.Fprintf(&b, " %d/%v", l.RequestsPerUnit, l.Unit)
			if l.UnitMultiplier != nil {
				fmt.Fprintf(&b, "*%d", l.UnitMultiplier.Value)
			}
			if l.Name != "" {
				fmt.Fprintf(&b, " %q", l.Name)
			}
		}
		if st.CurrentLimit != nil || st.LimitRemaining > 0 {
			fmt.Fprintf(&b, " remaining %d", st.LimitRemaining)
		}
		if st.DurationUntilReset != nil {
			fmt.Fprintf(&b, " reset %v", st.DurationUntilReset.AsDuration())
		}
		fmt.Fprintln(&b)
	}
	for _, h := range r.ResponseHeadersToAdd {
		fmt.Fprintf(&b, "  %s: %s\n", h.Key, h.Value)
	}
	if r.DynamicMetadata != nil {
		j, err := protojson.Marshal(r.DynamicMetadata)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(&b, "  metadata", strings.ReplaceAll(string(j), " ", "")) // protojson varies its spaces on purpose
	}
	return b.String()
}

func (s *story) status() string {
	var b strings.Builder
	st := s.engine.Status(s.now)
	if st.Error != "" {
		fmt.Fprintln(&b, "error:", st.Error)
	}
	for _, r := range st.Rules {
		d := r.Decisions
		if d.Total == 0 {
			continue
		}
		fmt.Fprintf(&b, "%s: total %d ok %d over %d near %d shadow %d, %d keys\n", r.ID, d.Total, d.OK, d.OverLimit, d.NearLimit, d.Shadow, r.ActiveKeys)
		for _, k := range r.Top {
			fmt.Fprintf(&b, "  %s: %d of %d, limited %d, resets in %v\n", k.Key, k.Used, k.Limit, k.Limited, k.ResetsIn)
		}
	}
	return b.String()
}

func (s *story) edges() string {
	var b strings.Builder
	for _, e := range s.engine.ThrottledEdges(s.now) {
		fmt.Fprintf(&b, "%s > %s by %s %.3f/s\n", e.Source, e.Destination, e.Rule, e.Rate)
	}
	return b.String()
}
