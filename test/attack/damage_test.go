package attack

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestDamage damages one file of a server's directory at a random place, starts a server on it and asks it all there is to ask: 40 times, full 1,000
// times, each kind of file as often. What it answers is right; or it says that something is missing and names the file; or it does not
// start, and names the file. DAMAGE_SEED repeats the choices.
func TestDamage(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED with -short, AND NOT PROVEN: damaged files never answer wrongly; it starts some dozen servers")
	}
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	if v, err := strconv.ParseUint(os.Getenv("DAMAGE_SEED"), 10, 64); err == nil {
		seed = v
	}
	t.Logf("DAMAGE_SEED=%d", seed)
	r := &row{attack: "files damaged at random places", recovery: -1, lost: -1, doubled: -1}
	report.add(r)
	d := makeSound(t, r)
	if d == nil {
		return
	}
	chance := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // a test's chance
	kinds := d.kinds(t)
	names := slices.Sorted(maps.Keys(kinds))
	var wg sync.WaitGroup
	places := make(chan *world, 2) // each with addresses and a directory, for one try after another
	for range cap(places) {
		places <- prepare(t, smallFiles)
	}
	for i := range sized(40, 1000) {
		kind := names[i%len(names)]
		files := kinds[kind]
		h := harm{file: files[chance.IntN(len(files))], at: chance.Float64(), how: chance.IntN(8)}
		w := <-places
		wg.Go(func() {
			d.try(t, w, kind, h)
			places <- w
		})
	}
	wg.Wait()
	var words []string
	for _, k := range names {
		c := d.came[k]
		words = append(words, fmt.Sprintf("%s: %d right, %d told, %d refused, %d silently wrong", k, c[right], c[told], c[refused], c[wrong]))
		t.Log(words[len(words)-1])
	}
	r.outcome = fmt.Sprintf("%d kinds of files; %d right, %d told, %d refused, %d silently wrong", len(names), d.all(right), d.all(told), d.all(refused), d.all(wrong))
	r.faults = append(r.faults, d.faults...)
	r.rss = d.peak
	for _, f := range r.faults {
		t.Error(f)
	}
}

// What comes of a damaged file.
type came int

const (
	right   came = iota // all answers are as before
	told                // something is missing, and the server says so and names the file
	refused             // it does not start, and names the file
	wrong
)

// A damaged is a sound directory and what a server must answer on it.
type damaged struct {
	dir    string // the sound directory
	traces [][16]byte
	edges  map[string]int

	mu     sync.Mutex
	came   map[string]map[came]int
	faults []string
	peak   int64
}

// A harm is what is done to a file.
type harm struct {
	file string  // below the data directory
	at   float64 // of its length
	how  int
}

// smallFiles make several files of each kind within seconds.
const smallFiles = `storage:
  checkpoint_interval: 500ms
  wal: {segment_bytes: 1048576}
  blocks: {max_head_spans: 4000, head_max_age: 2s}`

// makeSound fills a directory and kills the server, so that all files are as a running server has them. It ends the test
// where the undamaged directory does not answer right.
func makeSound(t *testing.T, r *row) *damaged {
	t.Helper()
	w := prepare(t, smallFiles)
	fail := func(err error) *damaged {
		r.faults = append(r.faults, err.Error())
		t.Error(err)
		return nil
	}
	if err := w.start(); err != nil {
		return fail(err)
	}
	h := w.honest()
	time.Sleep(7 * time.Second)
	h.end()
	a := h.audit(0, 0, false)
	if len(a.faults) > 0 {
		return fail(fmt.Errorf("before any damage: %v", a.faults))
	}
	if err := w.exactQuota(); err != nil { // so that there is something of quotas on disk
		return fail(err)
	}
	edges, err := w.honestEdges()
	if err != nil {
		return fail(err)
	}
	w.kill()
	d := &damaged{dir: w.data, edges: edges, came: map[string]map[came]int{}}
	for _, s := range h.sent {
		if s.acked {
			d.traces = append(d.traces, s.traces...)
		}
	}
	return d
}

// kinds lists the files by what they are.
func (d *damaged) kinds(t *testing.T) map[string][]string {
	t.Helper()
	all := map[string][]string{}
	err := filepath.WalkDir(d.dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err != nil || info.Size() == 0 {
			return err
		}
		rel, err := filepath.Rel(d.dir, path)
		if err != nil {
			return err
		}
		parts := strings.Split(rel, string(filepath.Separator))
		kind := parts[0]
		switch {
		case kind == "blocks":
			kind += "/" + parts[len(parts)-1]
		case len(parts) > 2:
			kind += "/" + parts[1]
		case len(parts) == 2 && (kind == "series" || kind == "quota"):
			kind += "/" + parts[1]
		}
		all[kind] = append(all[kind], rel)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func (d *damaged) all(what came) (n int) {
	for _, c := range d.came {
		n += c[what]
	}
	return n
}

// try damages a copy and looks at what a server makes of it.
func (d *damaged) try(t *testing.T, w *world, kind string, h harm) {
	t.Helper()
	w.said = &output{}
	defer os.RemoveAll(w.data)
	if err := os.CopyFS(w.data, os.DirFS(d.dir)); err != nil {
		t.Error(err)
		return
	}
	did, err := h.do(w.data)
	if err != nil {
		t.Error(err)
		return
	}
	what, why := d.look(w, h)
	w.kill()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.came[kind] == nil {
		d.came[kind] = map[came]int{}
	}
	d.came[kind][what]++
	d.peak = max(d.peak, w.resident())
	if what == wrong && len(d.faults) < 20 {
		d.faults = append(d.faults, fmt.Sprintf("%s, %s: %s", h.file, did, why))
	}
}

// do damages the file: mostly one byte, now and then a page of zeros, or its end cut off.
func (h harm) do(dir string) (did string, err error) {
	path := filepath.Join(dir, h.file)
	b, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	at := int(h.at * float64(len(b)))
	switch h.how {
	case 0:
		clear(b[at:min(len(b), at+4096)])
		did = fmt.Sprintf("zeros from byte %d", at)
	case 1:
		b = b[:at]
		did = fmt.Sprintf("cut off at byte %d", at)
	default:
		bit := byte(1) << (h.how - 2)
		b[at] ^= bit
		did = fmt.Sprintf("bit %#02x of byte %d flipped", bit, at)
	}
	return did, os.WriteFile(path, b, 0o600)
}

// named says whether the server names the file, or the directory that is a block.
func (h harm) named(text string) bool {
	return strings.Contains(text, filepath.Base(h.file)) || strings.Contains(text, filepath.Base(filepath.Dir(h.file))) && strings.Count(h.file, string(filepath.Separator)) > 1
}

// look starts a server and compares what it answers.
func (d *damaged) look(w *world, h harm) (came, string) {
	if err := w.start(); err != nil {
		switch {
		case !errors.Is(err, errEnded):
			return wrong, err.Error()
		case h.named(w.said.String()):
			return refused, ""
		}
		return wrong, "it does not start, and does not name the file: " + w.said.tail(300)
	}
	missing := 0
	marked := 0
	for _, id := range d.traces {
		code, body := w.get("/api/v1/traces/"+hex.EncodeToString(id[:]), 20*time.Second)
		switch code {
		case http.StatusOK:
			if why := wrongTrace(body); why != "" && !incomplete(body) {
				return wrong, why
			} else if why != "" {
				marked++
			}
		case http.StatusNotFound:
			missing++
			if incomplete(body) {
				marked++
			}
		default:
			missing++ // an error is no wrong answer, if it is told
			marked++
		}
	}
	var got map[string]int
	var err error
	for deadline := time.Now().Add(4 * time.Second); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		if got, err = w.honestEdges(); err == nil && maps.Equal(got, d.edges) {
			break
		}
	}
	if err != nil {
		return wrong, err.Error()
	}
	for edge, n := range got {
		if n > d.edges[edge] {
			return wrong, fmt.Sprintf("%s has %d, sent %d", edge, n, d.edges[edge])
		}
	}
	if missing == 0 && marked == 0 && maps.Equal(got, d.edges) {
		return right, ""
	}
	_, status := w.get("/api/v1/status", 5*time.Second)
	if h.named(w.said.String()) || h.named(string(status)) {
		// What the log has lost is lost for all answers, and told once. A block is there, and an answer that needed it says so itself.
		if strings.HasPrefix(h.file, "blocks") && marked < missing {
			return wrong, fmt.Sprintf("%d of %d traces are missing; the file is named in log or status, but %d of the answers do not say that they are incomplete", missing, len(d.traces), missing-marked)
		}
		return told, ""
	}
	return wrong, fmt.Sprintf("%d of %d traces are missing, edges are right: %v; nothing is said of it", missing, len(d.traces), maps.Equal(got, d.edges))
}

// incomplete says whether an answer says of itself that something is missing.
func incomplete(body []byte) bool {
	s := strings.ToLower(string(body))
	return strings.Contains(s, `"incomplete"`) || strings.Contains(s, "in what cannot be read")
}
