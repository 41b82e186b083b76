package watch

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newWatcher(t *testing.T) *Watcher {
	t.Helper()
	w, err := New(slog.New(slog.DiscardHandler), prometheus.NewPedanticRegistry())
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// TestWhenItTells holds the times of calls against what happens, in a time of its own.
func TestWhenItTells(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	for name, tt := range map[string]struct {
		blind  bool
		events []time.Duration // since the start; a negative one is an error at that time
		run    time.Duration
		want   []time.Duration
	}{
		"at the start, then every ten seconds":                {run: 25 * time.Second, want: []time.Duration{0, 10 * time.Second, 20 * time.Second}},
		"every two where it cannot watch":                     {blind: true, run: 5 * time.Second, want: []time.Duration{0, 2 * time.Second, 4 * time.Second}},
		"once for a burst":                                    {events: []time.Duration{100 * ms, 120 * ms, 160 * ms}, run: time.Second, want: []time.Duration{0, 210 * ms}},
		"twice for two":                                       {events: []time.Duration{100 * ms, 200 * ms}, run: time.Second, want: []time.Duration{0, 150 * ms, 250 * ms}},
		"at once where events were lost":                      {events: []time.Duration{-100 * ms}, run: time.Second, want: []time.Duration{0, 100 * ms}},
		"after a second of events without end":                {events: every(30*ms, 2040*ms), run: 2100 * ms, want: []time.Duration{0, 1030 * ms, 2050 * ms}},
		"at an event just before the time to look: once only": {events: []time.Duration{9990 * ms}, run: 15 * time.Second, want: []time.Duration{0, 10040 * ms}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				events, errs := make(chan fsnotify.Event), make(chan error)
				src := source{events, errs, func() (bool, bool) { return false, !tt.blind }}
				ctx, cancel := context.WithTimeout(t.Context(), tt.run)
				defer cancel()
				var got []time.Duration
				var wg sync.WaitGroup
				w := newWatcher(t)
				wg.Go(func() { w.run(ctx, src, func() { got = append(got, time.Since(start)) }) })
				for _, at := range tt.events {
					time.Sleep(max(at, -at) - time.Since(start))
					if at < 0 {
						errs <- errors.New("queue overflow")
					} else {
						events <- fsnotify.Event{}
					}
				}
				wg.Wait()
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Errorf("-want +got:\n%s", diff)
				}
			})
		})
	}
}

func every(step, until time.Duration) (all []time.Duration) {
	for at := step; at <= until; at += step {
		all = append(all, at)
	}
	return all
}

// TestLooksAgainAtWhatIsNew: what happened in a directory before it was watched is not missed.
func TestLooksAgainAtWhatIsNew(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		looks, calls := 0, 0
		src := source{look: func() (bool, bool) { looks++; return looks <= 2, true }}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		newWatcher(t).run(ctx, src, func() { calls++ })
		if looks != 3 || calls != 3 {
			t.Errorf("looked %d times and told %d times, want 3 each", looks, calls)
		}
	})
}

// TestRealFiles: every way in which files change is noticed, names changing meanwhile, on the real file system.
func TestRealFiles(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	path := func(elem ...string) string { return filepath.Join(append([]string{root}, elem...)...) }
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	write := func(name, content string) { t.Helper(); must(os.WriteFile(name, []byte(content), 0o600)) }
	// A ConfigMap as the kubelet mounts it: files are links into ..data, itself a link, which is exchanged.
	must(os.MkdirAll(path("map", "..1"), 0o700))
	write(path("map", "..1", "rules.yaml"), "one")
	must(os.Symlink("..1", path("map", "..data")))
	must(os.Symlink("..data/rules.yaml", path("map", "rules.yaml")))
	must(os.Symlink(path("map", "rules.yaml"), path("link.yaml"))) // a link from elsewhere
	must(os.Mkdir(path("globs"), 0o700))

	var mu sync.Mutex
	names := []string{path("link.yaml"), path("globs", "*", "*.yaml"), path("later", "new.yaml")}
	state := "" // of all that is watched, as read by the last call
	content := func() string {
		mu.Lock()
		defer mu.Unlock()
		var all []string
		for _, n := range names {
			found, _ := filepath.Glob(n)
			for _, f := range found {
				b, _ := os.ReadFile(f)
				all = append(all, string(b))
			}
		}
		return strings.Join(all, " ")
	}
	told := make(chan string, 1000)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	w := newWatcher(t)
	wg.Go(func() {
		w.Run(ctx, func() []string { mu.Lock(); defer mu.Unlock(); return slices.Clone(names) }, func() {
			if c := content(); c != state {
				state = c
				told <- c
			}
		})
	})
	await := func(what, want string) {
		t.Helper()
		for {
			select {
			case got := <-told:
				if got == want {
					return
				}
			case <-time.After(60 * time.Second): // of which milliseconds are used, or at worst ten seconds
				t.Fatalf("%s was not noticed", what)
			}
		}
	}
	await("the start", "one")
	write(path("map", "..1", "rules.yaml"), "two")
	await("a file written through links", "two")
	must(os.Mkdir(path("map", "..2"), 0o700))
	write(path("map", "..2", "rules.yaml"), "three")
	must(os.Symlink("..2", path("map", "..tmp")))
	must(os.Rename(path("map", "..tmp"), path("map", "..data")))
	must(os.RemoveAll(path("map", "..1")))
	await("an exchanged link", "three")
	write(path("map", "..2", "new"), "four")
	must(os.Rename(path("map", "..2", "new"), path("map", "..2", "rules.yaml")))
	await("a replaced file where the link leads now", "four")
	must(os.Mkdir(path("globs", "a"), 0o700))
	write(path("globs", "a", "x.yaml"), "five")
	await("a new file in a new folder of a pattern", "four five")
	must(os.Mkdir(path("later"), 0o700))
	write(path("later", "new.yaml"), "six")
	await("a file in a folder that was not there", "four five six")
	must(os.RemoveAll(path("later")))
	await("a removed folder", "four five")
	must(os.Mkdir(path("later"), 0o700))
	write(path("later", "new.yaml"), "seven")
	await("a folder made anew", "four five seven")
	if n := testutil.ToFloat64(w.errors.WithLabelValues("cannot_watch")); n != 0 {
		t.Errorf("%v directories could not be watched", n)
	}
}

func TestFollow(t *testing.T) {
	t.Parallel()
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"a/b", "c"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(root, "a/b/file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]string{
		"c/up": "../a", "c/file": "up/b/file", "c/abs": filepath.Join(root, "a"), "c/dead": "nowhere/x", "c/loop": "loop",
	} {
		if err := os.Symlink(target, filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	for path, want := range map[string][]string{
		"a/b/file":     {"a/b"},
		"a/b":          {"a/b"},
		"a/absent/x/y": {"a"},
		"c/up/b":       {"a/b", "c"},
		"c/file":       {"a/b", "c"},
		"c/abs/b/file": {"a/b", "c"},
		"c/dead":       {"c"},
		"c/loop":       {"c"},
	} {
		into := make(map[string]bool)
		follow(filepath.Join(root, path), into)
		var got []string
		for dir := range into {
			rel, err := filepath.Rel(root, dir)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, rel)
		}
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
	}
}
