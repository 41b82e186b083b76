package quota

import (
	"fmt"
	"log/slog"
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"pgregory.net/rapid"

	"github.com/binnacle-mesh/binnacle/quota/rule"
)

func silent() *slog.Logger { return slog.New(slog.DiscardHandler) }

// rules is one rule file.
func rules(yaml string) []rule.File { return []rule.File{{Name: "rules.yaml", Content: []byte(yaml)}} }

// newEngine makes an engine of one rule file.
func newEngine(t interface {
	Fatal(...any)
	Helper()
}, cfg Config, yaml string,
) (*Engine, *prometheus.Registry) {
	t.Helper()
	reg := prometheus.NewPedanticRegistry()
	e, err := New(cfg, rules(yaml), Deps{Secret: RandomSecret(), Log: silent(), Registerer: reg}, time.Unix(0, 0))
	if err != nil {
		t.Fatal(err)
	}
	return e, reg
}

func descriptor(pairs ...string) Descriptor {
	var d Descriptor
	for _, p := range pairs {
		k, v, _ := strings.Cut(p, "=")
		d.Entries = append(d.Entries, rule.Entry{Key: []byte(k), Value: []byte(v)})
	}
	return d
}

// modelRule is a descriptor of a rule file as the model sees it.
type modelRule struct {
	key, value string
	share      bool
	limit      *modelLimit
	children   []*modelRule
}

type modelLimit struct {
	unit      string
	n         uint32
	name      string
	replaces  []string
	unlimited bool
	shadow    bool
	quota     bool
}

var modelUnits = map[string]int64{"second": 1, "minute": 60, "hour": 3600, "day": 86400, "week": 7 * 86400, "month": 30 * 86400, "year": 365 * 86400}

func drawRules(t *rapid.T, depth int) []*modelRule {
	var drawn []*modelRule
	seen := map[string]bool{}
	for range rapid.IntRange(1, 5).Draw(t, "rules") {
		r := &modelRule{key: rapid.SampledFrom([]string{"a", "b"}).Draw(t, "key"), value: rapid.SampledFrom([]string{"", "x", "xy", "x*", "*y", "x*y", "*"}).Draw(t, "value")}
		if name := r.key + "_" + r.value; seen[name] {
			continue
		} else {
			seen[name] = true
		}
		r.share = strings.Contains(r.value, "*") && rapid.Bool().Draw(t, "share")
		if rapid.IntRange(0, 3).Draw(t, "limited") > 0 {
			l := &modelLimit{
				unit: rapid.SampledFrom([]string{"second", "minute", "hour", "day", "week", "month", "year"}).Draw(t, "unit"), n: rapid.Uint32Range(0, 4).Draw(t, "n"),
				name: rapid.SampledFrom([]string{"", "p", "q"}).Draw(t, "name"), unlimited: rapid.IntRange(0, 9).Draw(t, "unlimited") == 0,
				shadow: rapid.IntRange(0, 5).Draw(t, "shadow") == 0, quota: rapid.IntRange(0, 3).Draw(t, "quota") == 0,
			}
			if other := map[string]string{"": "p", "p": "q", "q": "p"}[l.name]; rapid.IntRange(0, 3).Draw(t, "replaces") == 0 {
				l.replaces = []string{other}
			}
			r.limit = l
		}
		if depth > 1 {
			if rapid.Bool().Draw(t, "nested") {
				r.children = drawRules(t, depth-1)
			}
		}
		drawn = append(drawn, r)
	}
	return drawn
}

func render(b *strings.Builder, rules []*modelRule, indent string) {
	for _, r := range rules {
		fmt.Fprintf(b, "%s- key: %s\n", indent, r.key)
		if r.value != "" {
			fmt.Fprintf(b, "%s  value: %q\n", indent, r.value)
		}
		fmt.Fprintf(b, "%s  share_threshold: %v\n", indent, r.share)
		if l := r.limit; l != nil {
			fmt.Fprintf(b, "%s  shadow_mode: %v\n%s  quota_mode: %v\n", indent, l.shadow, indent, l.quota)
			fmt.Fprintf(b, "%s  rate_limit: {requests_per_unit: %d, name: %q", indent, l.n, l.name)
			if l.unlimited {
				b.WriteString(", unlimited: true")
			} else {
				fmt.Fprintf(b, ", unit: %s", l.unit)
			}
			for _, name := range l.replaces {
				fmt.Fprintf(b, ", replaces: [{name: %s}]", name)
			}
			b.WriteString("}\n")
		}
		if len(r.children) > 0 {
			fmt.Fprintf(b, "%s  descriptors:\n", indent)
			render(b, r.children, indent+"  ")
		}
	}
}

// find walks the rules as their documentation tells it: exact value, then wildcards in order, then the key alone. It returns
// the limit and the entries as they are counted.
func find(rules []*modelRule, pairs []string) (*modelLimit, string) {
	key, value, _ := strings.Cut(pairs[0], "=")
	var hit *modelRule
	for _, r := range rules { // the key alone is the weakest
		if r.key == key && r.value == "" {
			hit = r
		}
	}
	for _, r := range slices.Backward(rules) { // the first wildcard is the strongest
		pattern := "^" + strings.ReplaceAll(regexp.QuoteMeta(r.value), `\*`, ".*") + "$"
		if r.key == key && strings.Contains(r.value, "*") && regexp.MustCompile(pattern).MatchString(value) {
			hit = r
		}
	}
	for _, r := range rules {
		if r.key == key && r.value == value && value != "" && !strings.Contains(value, "*") {
			hit = r
		}
	}
	if hit == nil {
		return nil, ""
	}
	counted := pairs[0]
	if hit.share {
		counted = key + "=" + hit.value
	}
	if len(pairs) == 1 {
		return hit.limit, counted
	}
	l, rest := find(hit.children, pairs[1:])
	return l, counted + "," + rest
}

// oracle decides as envoyproxy/ratelimit is documented to, with maps and strings.
type oracle struct {
	rules []*modelRule
	used  map[string]uint64
	only  bool
}

type modelDescriptor struct {
	pairs  []string
	hits   uint64
	own    bool
	refund bool
}

type modelAnswer struct {
	Over      bool
	Limited   bool
	Remaining uint32
	Reset     int64
}

func (o *oracle) decide(descriptors []modelDescriptor, hits uint32, now int64) (over bool, answers []modelAnswer) {
	limits := make([]*modelLimit, len(descriptors))
	counted := make([]string, len(descriptors))
	silent := map[string]bool{}
	for i, d := range descriptors {
		if limits[i], counted[i] = find(o.rules, d.pairs); limits[i] != nil {
			for _, name := range limits[i].replaces {
				silent[name] = true
			}
		}
	}
	hard, quotas, quotasOver := false, 0, 0
	for i, d := range descriptors {
		l := limits[i]
		switch {
		case l == nil:
			answers = append(answers, modelAnswer{})
			continue
		case l.unlimited:
			answers = append(answers, modelAnswer{Remaining: math.MaxUint32})
			continue
		case silent[l.name]:
			answers = append(answers, modelAnswer{})
			continue
		}
		n := uint64(max(1, hits))
		if d.own {
			n = d.hits
		}
		length := modelUnits[l.unit]
		k := fmt.Sprint(counted[i], length, now/length)
		before := o.used[k]
		after, limit := before+n, uint64(l.n)
		refused := after > limit
		switch {
		case d.refund:
			after, refused = before-min(before, n), false
		case o.only:
			refused = refused || n == 0 && before >= limit && limit > 0
			if refused {
				after = before
			}
		}
		o.used[k] = after
		a := modelAnswer{Limited: true, Reset: length - now%length, Over: refused && !l.shadow}
		if !refused && after < limit {
			a.Remaining = uint32(limit - after)
		}
		answers = append(answers, a)
		if l.quota {
			quotas++
			if a.Over {
				quotasOver++
			}
		} else {
			hard = hard || a.Over
		}
	}
	return hard || quotas > 0 && quotas == quotasOver, answers
}

func TestModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		tree := drawRules(t, 3)
		var b strings.Builder
		b.WriteString("domain: d\ndescriptors:\n")
		render(&b, tree, "")
		cfg := DefaultConfig()
		cfg.CountRefused = rapid.Bool().Draw(t, "count refused")
		e, _ := newEngine(t, cfg, b.String())
		o := &oracle{rules: tree, used: map[string]uint64{}, only: !cfg.CountRefused}
		now := int64(1_700_000_000)
		var d Decision
		for range rapid.IntRange(1, 30).Draw(t, "requests") {
			now += []int64{0, 0, 0, 1, 60, 86400 * 40}[rapid.IntRange(0, 5).Draw(t, "advance")]
			req := Request{Domain: []byte("d"), Hits: rapid.Uint32Range(0, 3).Draw(t, "hits")}
			var model []modelDescriptor
			for range rapid.IntRange(1, 3).Draw(t, "descriptors") {
				m := modelDescriptor{
					pairs: rapid.SliceOfN(rapid.SampledFrom([]string{"a=x", "a=xy", "a=xzy", "a=y", "b=x", "b=xy", "b", "c=x"}), 1, 3).Draw(t, "entries"),
					hits:  rapid.Uint64Range(0, 3).Draw(t, "own hits"), own: rapid.Bool().Draw(t, "own"), refund: rapid.IntRange(0, 9).Draw(t, "refund") == 0,
				}
				model = append(model, m)
				desc := descriptor(m.pairs...)
				desc.Hits, desc.OwnHits, desc.Negative = m.hits, m.own, m.refund
				req.Descriptors = append(req.Descriptors, desc)
			}
			over, want := o.decide(model, req.Hits, now)
			if err := e.Decide(t.Context(), &req, &d, time.Unix(now, 0)); err != nil {
				t.Fatal(err)
			}
			var got []modelAnswer
			for _, a := range d.Statuses {
				got = append(got, modelAnswer{Over: a.Over, Limited: a.Limit != nil, Remaining: a.Remaining, Reset: a.Reset})
			}
			if diff := cmp.Diff(want, got); diff != "" || over != d.Over {
				t.Fatalf("%s\n%+v at %d: over %v, want %v (-want +got):\n%s", b.String(), model, now, d.Over, over, diff)
			}
		}
	})
}
