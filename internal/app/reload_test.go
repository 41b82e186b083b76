package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/binnacle-mesh/binnacle/internal/config"
)

// TestReloadStory runs testdata/reload. Commands:
//
//	file NAME  writes a file into the story's directory, which is called DIR in it
//	start      makes the server of binnacle.yaml
//	reload     reads binnacle.yaml again, and shows what came of it
//	log        shows what was logged meanwhile
//	status     shows what is in force of that which can be asked for
//	metrics    shows the metrics of reloading, the time as whether it has moved
func TestReloadStory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	in := func(s string) string { return strings.ReplaceAll(s, "DIR", dir) }
	var a *App
	var log bytes.Buffer
	t.Cleanup(func() {
		if a != nil {
			open := a.listeners
			if err := errors.Join(a.stopReceiving(context.Background()), a.closeAll()); err != nil {
				t.Error(err)
			}
			for _, l := range open {
				_ = l.Close() // those that never served are not closed by being stopped
			}
		}
	})
	var last float64
	datadriven.RunTest(t, filepath.Join("testdata", "reload"), func(t *testing.T, d *datadriven.TestData) string {
		switch d.Cmd {
		case "file":
			if err := os.WriteFile(filepath.Join(dir, d.CmdArgs[0].Key), []byte(in(d.Input)), 0o600); err != nil {
				t.Fatal(err)
			}
			return ""
		case "start":
			var err error
			from := config.Source{File: filepath.Join(dir, "binnacle.yaml"), Data: filepath.Join(dir, "data")}
			cfg, err := from.Load()
			if err != nil {
				t.Fatal(err)
			}
			logger := NewLogger(cfg.Log, &log)
			logger.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{
				Level: logger.Level,
				ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
					if a.Key == slog.TimeKey {
						return slog.Attr{}
					}
					return a
				},
			}))
			if a, err = New(t.Context(), cfg, "test", logger); err != nil {
				t.Fatal(err)
			}
			a.reloads.from = from
			log.Reset()
			return ""
		case "reload":
			told, err := a.reload(t.Context(), causeRequest)
			if err != nil {
				return strings.ReplaceAll("refused: "+err.Error(), dir, "DIR")
			}
			b, err := json.MarshalIndent(told, "", " ")
			if err != nil {
				t.Fatal(err)
			}
			return strings.ReplaceAll(string(b), dir, "DIR")
		case "log":
			out := strings.ReplaceAll(log.String(), dir, "DIR")
			log.Reset()
			return out
		case "status":
			return inForce(a)
		case "metrics":
			families, err := a.reg.Gather()
			if err != nil {
				t.Fatal(err)
			}
			var out []string
			for _, f := range families {
				v := f.GetMetric()[0].GetGauge().GetValue()
				switch f.GetName() {
				case "binnacle_config_last_reload_successful":
					out = append(out, fmt.Sprint("successful ", v))
				case "binnacle_config_last_reload_success_timestamp_seconds":
					out = append(out, fmt.Sprint("time has moved: ", v > last))
					last = v
				}
			}
			return strings.Join(out, "\n")
		}
		t.Fatalf("%s: no such command", d.Cmd)
		return ""
	})
}

// inForce asks the rooms themselves.
func inForce(a *App) string {
	age, bytes := a.series.Retention()
	var rules []string
	for _, f := range a.reloads.rules {
		rules = append(rules, filepath.Base(f.Name))
	}
	return fmt.Sprintf("log level %s\nseries kept for %s, %d bytes\nrules %v, generation %d\n",
		a.level.Level(), age, bytes, rules, a.quota.Status(a.started).Generation)
}

// TestReloadersNameSettingsThatExist has each path of the list be a setting, and
// none be taken by two.
func TestReloadersNameSettingsThatExist(t *testing.T) {
	t.Parallel()
	var seen []string
	for _, l := range (&App{}).reloaders() {
		for _, path := range slices.Concat(l.settings, l.except) {
			c := config.Default()
			c.Take(config.Default(), path) // panics where there is none
			if slices.Contains(seen, path) {
				t.Errorf("%s: %s stands there twice", l.name, path)
			}
			seen = append(seen, path)
		}
	}
}

// TestQuotaSettingsThatNeedARestart holds the list against what quota says itself.
func TestQuotaSettingsThatNeedARestart(t *testing.T) {
	t.Parallel()
	a, b := config.Default(), config.Default()
	change(reflect.ValueOf(&b.Quota).Elem())
	var quotas reloader
	for _, l := range (&App{}).reloaders() {
		if l.name == "quotas" {
			quotas = l
		}
	}
	mine, others := quotas.split(config.Diff(a, b))
	var restart []string
	for _, c := range others {
		restart = append(restart, strings.TrimPrefix(c.Path, "quota."))
	}
	want := a.Quota.NeedsRestart(&b.Quota)
	slices.Sort(restart)
	slices.Sort(want)
	if !slices.Equal(restart, want) || len(mine) < 10 {
		t.Errorf("need a restart: %v; quota says %v; %d others", restart, want, len(mine))
	}
}

// change makes every field another than it is.
func change(v reflect.Value) {
	for i := range v.NumField() {
		switch f := v.Field(i); f.Kind() {
		case reflect.Struct:
			change(f)
		case reflect.Bool:
			f.SetBool(!f.Bool())
		case reflect.String:
			f.SetString(f.String() + "x")
		case reflect.Int, reflect.Int64:
			f.SetInt(f.Int() + 1)
		case reflect.Float64:
			f.SetFloat(f.Float() / 2)
		case reflect.Slice:
			f.Set(reflect.ValueOf([]string{"changed"}))
		default:
			panic(f.Kind())
		}
	}
}
