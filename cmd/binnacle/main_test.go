package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/binnacle-mesh/binnacle/internal/config"
)

// TestStory runs testdata/story. Commands:
//
//	file NAME    writes a file into the story's directory
//	run          runs a command line, one argument a line; DIR stands for that directory
//
// The answer is the exit code, and what was written to each output. Serving is
// played: it loads the configuration, and says which.
func TestStory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	datadriven.RunTest(t, filepath.Join("testdata", "story"), func(t *testing.T, d *datadriven.TestData) string {
		switch d.Cmd {
		case "file":
			if err := os.WriteFile(filepath.Join(dir, d.CmdArgs[0].Key), []byte(strings.ReplaceAll(d.Input, "DIR", dir)), 0o600); err != nil {
				t.Fatal(err)
			}
			return ""
		case "run":
			var args []string
			if d.Input != "" {
				args = strings.Split(strings.ReplaceAll(d.Input, "DIR", dir), "\n")
			}
			return strings.ReplaceAll(play(t, d.HasArg("colour"), args), dir, "DIR")
		}
		t.Fatalf("%s: no such command", d.Cmd)
		return ""
	})
}

func play(t *testing.T, colour bool, args []string) string {
	t.Helper()
	var stdout, stderr, out bytes.Buffer
	c := cli{version: "v1.2.3", stdout: &stdout, stderr: &stderr, colour: colour}
	c.serve = func(_ context.Context, s config.Source) error {
		cfg, err := s.Load()
		if err == nil {
			fmt.Fprintf(&stdout, "(serving: file %q, data in %s)\n", s.File, cfg.Data)
		}
		return err
	}
	code := c.run(t.Context(), args)
	fmt.Fprintf(&out, "exit %d\n", code)
	platform := fmt.Sprintf("(%s, %s/%s)", runtime.Version(), runtime.GOOS, runtime.GOARCH)
	for _, o := range []struct {
		name string
		text string
	}{{"stdout", stdout.String()}, {"stderr", stderr.String()}} {
		if o.text != "" {
			text := strings.ReplaceAll(strings.ReplaceAll(o.text, platform, "(PLATFORM)"), "\x1b", "ESC")
			fmt.Fprintf(&out, "--- %s\n%s", o.name, strings.ReplaceAll(text, "\n\n", "\n.\n"))
		}
	}
	return out.String()
}

// TestCompletion has each shell's script name the command, and offers what can
// be completed.
func TestCompletion(t *testing.T) {
	t.Parallel()
	for _, shell := range []string{"bash", "zsh", "fish"} {
		if out := play(t, false, []string{"completion", shell}); !strings.HasPrefix(out, "exit 0\n") || !strings.Contains(out, "__complete") {
			t.Errorf("completion %s: %.200s", shell, out)
		}
	}
	for line, want := range map[string]string{
		"che":                "check-config\tSay what is wrong",
		"completion f":       "fish",
		"help ver":           "version\t",
		"demo --no":          "--no-story\t",
		"demo --chapter ca":  "ca",
		"serve --data ":      ":16", // a directory
		"serve --config my.": ":8",  // a file of these endings
	} {
		args := append([]string{"__complete"}, strings.Split(line, " ")...)
		if out := play(t, false, args); !strings.Contains(out, want) {
			t.Errorf("%q is completed to\n%s\nwant %q among it", line, out, want)
		}
	}
}

func TestNearest(t *testing.T) {
	t.Parallel()
	names := []string{"serve", "demo", "check-config", "version", "help"}
	for word, want := range map[string]string{
		"sevre": "serve", "chek-config": "check-config", "vesion": "version", "hlep": "help", "server": "serve",
		"dmeo": "demo", "checkconfig": "check-config", "quota": "", "x": "", "backup": "",
	} {
		got := strings.TrimSuffix(strings.TrimPrefix(didYouMean(word, names, ""), "; did you mean "), "?")
		if got != want {
			t.Errorf("%s: %q, want %q", word, got, want)
		}
	}
}
