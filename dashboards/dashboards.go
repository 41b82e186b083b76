// Package dashboards holds the Grafana dashboards, and reads the expressions
// out of them (and out of other tools'), so that tests can run each.
package dashboards

import (
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"strings"
)

// Files are the dashboards as Grafana imports them.
//
//go:embed *.json
var Files embed.FS

// A Dashboard is what the tests need of a Grafana dashboard.
type Dashboard struct {
	File       string
	UID        string  `json:"uid"`
	Title      string  `json:"title"`
	Panels     []Panel `json:"panels"`
	Rows       []row   `json:"rows"` // before Grafana 5
	Templating struct {
		List []Variable `json:"list"`
	} `json:"templating"`
	Annotations struct {
		List []struct {
			Name string `json:"name"`
			Expr string `json:"expr"`
		} `json:"list"`
	} `json:"annotations"`
}

type row struct {
	Panels []Panel `json:"panels"`
}

// A Panel is a panel, or a collapsed row of panels.
type Panel struct {
	ID      int     `json:"id"`
	Type    string  `json:"type"`
	Title   string  `json:"title"`
	Panels  []Panel `json:"panels"`
	GridPos struct {
		X, Y, W, H int
	} `json:"gridPos"`
	Targets []struct {
		RefID   string `json:"refId"`
		Expr    string `json:"expr"`
		Instant bool   `json:"instant"`
	} `json:"targets"`
}

// A Variable is a dashboard's variable.
type Variable struct {
	Name  string          `json:"name"`
	Type  string          `json:"type"`
	Query json.RawMessage `json:"query"` // text, or an object with a field query
	All   bool            `json:"includeAll"`
}

// QueryText is the variable's query, such as label_values(metric, label).
func (v *Variable) QueryText() string {
	var text string
	if json.Unmarshal(v.Query, &text) == nil {
		return text
	}
	var object struct {
		Query string `json:"query"`
	}
	if json.Unmarshal(v.Query, &object) == nil {
		return object.Query
	}
	return ""
}

// An Expression is one query of one panel.
type Expression struct {
	Dashboard string
	Panel     string
	RefID     string
	PromQL    string // with variables replaced
	Instant   bool
	// Seldom says that it may have no data: nothing need have happened.
	Seldom bool
}

// String names the expression for a test's message.
func (e Expression) String() string {
	return fmt.Sprintf("%s, panel %q, query %s: %s", e.Dashboard, e.Panel, e.RefID, e.PromQL)
}

// Parse reads a dashboard.
func Parse(file string, data []byte) (*Dashboard, error) {
	d := &Dashboard{File: file}
	if err := json.Unmarshal(data, d); err != nil {
		return nil, fmt.Errorf("read dashboard %s: %w", file, err)
	}
	return d, nil
}

// Load reads all dashboards of this folder.
func Load() ([]*Dashboard, error) {
	names, err := fs.Glob(Files, "*.json")
	if err != nil {
		return nil, fmt.Errorf("list dashboards: %w", err)
	}
	out := make([]*Dashboard, 0, len(names))
	for _, n := range names {
		data, err := Files.ReadFile(n)
		if err != nil {
			return nil, fmt.Errorf("read dashboard: %w", err)
		}
		d, err := Parse(n, data)
		if err != nil {
			return nil, err
		}
		out = append(out, d)
	}
	return out, nil
}

// AllPanels are the panels, those in rows included.
func (d *Dashboard) AllPanels() []Panel {
	var out []Panel
	var walk func([]Panel)
	walk = func(ps []Panel) {
		for _, p := range ps {
			out = append(out, p)
			walk(p.Panels)
		}
	}
	walk(d.Panels)
	for _, r := range d.Rows {
		walk(r.Panels)
	}
	return out
}

// Expressions are the queries of all panels, with the variables replaced by
// values and by what Grafana itself sets.
func (d *Dashboard) Expressions(values map[string]string) []Expression {
	var out []Expression
	for _, p := range d.AllPanels() {
		for _, t := range p.Targets {
			if t.Expr == "" {
				continue
			}
			out = append(out, Expression{
				Dashboard: d.Title, Panel: p.Title, RefID: t.RefID, PromQL: Substitute(t.Expr, values), Instant: t.Instant,
			})
		}
	}
	for _, a := range d.Annotations.List {
		if a.Expr != "" {
			out = append(out, Expression{Dashboard: d.Title, Panel: a.Name, RefID: "annotation", PromQL: Substitute(a.Expr, values), Seldom: true})
		}
	}
	return out
}

// builtin are Grafana's own variables, as a panel of half an hour has them.
var builtin = map[string]string{ //nolint:gochecknoglobals // immutable
	"__rate_interval": "1m", "__interval": "15s", "__interval_ms": "15000", "__range": "1800s", "__range_s": "1800", "__range_ms": "1800000",
}

// Substitute replaces $name, ${name}, ${name:format} and [[name]]. A variable
// that has no value matches all.
func Substitute(expr string, values map[string]string) string {
	value := func(name string) string {
		name, _, _ = strings.Cut(name, ":")
		if v, ok := values[name]; ok {
			return v
		}
		if v, ok := builtin[name]; ok {
			return v
		}
		return ".*"
	}
	var sb strings.Builder
	for i := 0; i < len(expr); {
		switch rest := expr[i:]; {
		case strings.HasPrefix(rest, "${") && strings.Contains(rest, "}"):
			end := strings.IndexByte(rest, '}')
			sb.WriteString(value(rest[2:end]))
			i += end + 1
		case strings.HasPrefix(rest, "[[") && strings.Contains(rest, "]]"):
			end := strings.Index(rest, "]]")
			sb.WriteString(value(rest[2:end]))
			i += end + 2
		case rest[0] == '$' && len(rest) > 1 && isWord(rest[1]) && (rest[1] < '0' || rest[1] > '9'): // $1 is label_replace's
			end := 1
			for end < len(rest) && isWord(rest[end]) {
				end++
			}
			sb.WriteString(value(rest[1:end]))
			i += end
		default:
			sb.WriteByte(rest[0])
			i++
		}
	}
	return sb.String()
}

func isWord(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}
