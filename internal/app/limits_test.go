package app

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/binnacle-mesh/binnacle/internal/config"
)

// docs/operations/limits.md is held against a server: each setting that it names is one of the configuration's,
// with that default, and each metric is one that the server has.
func TestLimitsPageIsTrue(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "operations", "limits.md"))
	if err != nil {
		t.Fatal(err)
	}
	metrics, settings := metricsOf(t), settingsOf(t)
	wrong, checked := checkLimits(string(page), metrics, settings)
	for _, w := range wrong {
		t.Error(w)
	}
	if checked.rows < 50 || checked.settings < 30 || checked.metrics < 30 {
		t.Errorf("of the page were checked %+v: is this test blind?", checked)
	}
}

// The test above sees what is wrong.
func TestLimitsPageThatIsWrong(t *testing.T) {
	t.Parallel()
	metrics, settings := map[string]bool{"binnacle_a_total": true}, map[string]any{"a.max": 16777216.0, "a.wait": "1m0s", "a.auto": 0.0}
	for row, want := range map[string]int{
		"| a | 16 MiB | `a.max` | no | `binnacle_a_total{reason=\"x\"}` |": 0,
		"| a | 16,777,216 | `a.max` | no | – |":                            0,
		"| a | 1m; then more | `a.wait` | no | – |":                        0,
		"| a | 60 % of the memory | `a.auto` | no | – |":                   0,
		"| a | 15 MiB | `a.max` | no | – |":                                1,
		"| a | soon | `a.wait` | no | – |":                                 1,
		"| a | 1m | `a.weight` | no | – |":                                 1,
		"| a | 1m | – | no | `binnacle_b_total` |":                         1,
		"| a | 1m | no | `binnacle_a_total` |":                             1,
	} {
		if wrong, _ := checkLimits(row, metrics, settings); len(wrong) != want {
			t.Errorf("%s\nwants %d complaints, has %q", row, want, wrong)
		}
	}
}

type limitsChecked struct{ rows, settings, metrics int }

// checkLimits says what is wrong on the page of limits. metrics are the names that the server has, settings the defaults by path.
func checkLimits(page string, metrics map[string]bool, settings map[string]any) (wrong []string, done limitsChecked) {
	metric, quoted := regexp.MustCompile("`(binnacle_[a-z0-9_]+)[`{]"), regexp.MustCompile("`([^`]+)`")
	for _, line := range strings.Split(page, "\n") {
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| limit |") {
			continue
		}
		done.rows++
		cells := strings.Split(strings.Trim(line, "| "), " | ")
		if len(cells) != 5 {
			wrong = append(wrong, "not five cells: "+line)
			continue
		}
		for _, m := range metric.FindAllStringSubmatch(line, -1) {
			done.metrics++
			if !metrics[m[1]] {
				wrong = append(wrong, fmt.Sprintf("no metric is called %s: %s", m[1], line))
			}
		}
		for i, q := range quoted.FindAllStringSubmatch(cells[2], -1) {
			if strings.HasPrefix(q[1], "collector.") {
				continue // the OpenTelemetry Collector's words are its own
			}
			done.settings++
			is, ok := settings[q[1]]
			switch {
			case !ok:
				wrong = append(wrong, fmt.Sprintf("no setting is called %s: %s", q[1], line))
			case i == 0 && !sameDefault(cells[1], is):
				wrong = append(wrong, fmt.Sprintf("%s is %v by default: %s", q[1], is, line))
			}
		}
	}
	return wrong, done
}

// sameDefault says whether what the page gives as a default begins with that of the schema. A zero there stands for what is
// found out when the server starts, and is not compared.
func sameDefault(cell string, is any) bool {
	first, _, _ := strings.Cut(cell, ";")
	if first, _, _ = strings.Cut(first, ", "); first == "" {
		return false
	}
	switch is := is.(type) {
	case float64:
		number, unit, _ := strings.Cut(strings.ReplaceAll(first, ",", ""), " ")
		n, err := strconv.ParseFloat(number, 64)
		for _, u := range []string{"KiB", "MiB", "GiB", "TiB"} {
			if n *= 1024; unit == u {
				return err == nil && n == is
			}
		}
		n, err = strconv.ParseFloat(number, 64)
		return is == 0 || err == nil && n == is
	case string:
		want, err := time.ParseDuration(is)
		if err != nil {
			return is == "" || strings.HasPrefix(cell, is)
		}
		d, err := time.ParseDuration(first)
		return want == 0 || err == nil && d == want
	}
	return true
}

// settingsOf is the configuration's schema: each setting's default by its path.
func settingsOf(t *testing.T) map[string]any {
	t.Helper()
	var root map[string]any
	if err := json.Unmarshal(config.Schema(), &root); err != nil {
		t.Fatal(err)
	}
	out := map[string]any{}
	var walk func(path string, node map[string]any)
	walk = func(path string, node map[string]any) {
		properties, _ := node["properties"].(map[string]any)
		for name, v := range properties {
			child, _ := v.(map[string]any)
			at := strings.TrimPrefix(path+"."+name, ".")
			if child["properties"] == nil {
				out[at] = child["default"]
			}
			walk(at, child)
		}
	}
	walk("", root)
	return out
}

// metricsOf is the names of all metrics that a server has.
func metricsOf(t *testing.T) map[string]bool {
	t.Helper()
	cfg := config.Default()
	cfg.Data = filepath.Join(t.TempDir(), "data")
	cfg.Listen = config.Listen{Mesh: "127.0.0.1:0", OTLPHTTP: "127.0.0.1:0", Web: "127.0.0.1:0"}
	cfg.Collector = map[string]any{"receivers": map[string]any{}}
	a, err := New(t.Context(), cfg, "test", &Logger{Logger: slog.New(slog.DiscardHandler), Level: new(slog.LevelVar)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeUnserved(t, a) })
	out := map[string]bool{}
	// What has no child yet is described and not gathered; what describes nothing is gathered alone.
	descs := make(chan *prometheus.Desc)
	go func() { a.reg.Describe(descs); close(descs) }()
	name := regexp.MustCompile(`fqName: "([^"]+)"`)
	for d := range descs {
		if m := name.FindStringSubmatch(d.String()); m != nil {
			out[m[1]] = true
		}
	}
	families, err := a.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		out[f.GetName()] = true
	}
	return out
}

// closeUnserved closes a server that was made and never run.
func closeUnserved(t *testing.T, a *App) {
	t.Helper()
	open := a.listeners
	if err := a.stopReceiving(context.Background()); err != nil {
		t.Error(err)
	}
	if err := a.closeAll(); err != nil {
		t.Error(err)
	}
	for _, l := range open {
		_ = l.Close() // those that never served are not closed by being stopped
	}
}
