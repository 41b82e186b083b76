package api_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
)

// TestStories asks what the files under testdata/stories ask, and compares the answers
// with theirs. Each begins in the same shop. With -rewrite the answers are written anew.
//
//	ask [method=POST] [show=Header-Name]...
//	/path?query            the target; spaces are escaped
//	Header: value          any more lines are headers
//
// Other commands say that the world is not as it should be: store-fails, not-ready,
// reload-fails.
func TestStories(t *testing.T) {
	t.Parallel()
	datadriven.Walk(t, "testdata/stories", func(t *testing.T, path string) {
		w := shop(newWorld(t))
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			switch d.Cmd {
			case "ask":
				return w.tell(t, d)
			case "store-fails":
				w.store.err = errors.New("block 17 is unreadable: checksum differs")
			case "not-ready":
				w.readyErr = errors.New("replaying the log, 120 of 4000 records")
			case "reload-fails":
				w.loadErr = errors.New("quota: shop.yaml: line 3: unknown unit \"minit\"")
			default:
				t.Fatalf("no command %q", d.Cmd)
			}
			return ""
		})
	})
}

func (w *world) tell(t *testing.T, d *datadriven.TestData) string {
	method, show := "GET", []string{"Content-Type"}
	for _, arg := range d.CmdArgs {
		switch arg.Key {
		case "method":
			method = arg.Vals[0]
		case "show":
			show = append(show, arg.Vals...)
		}
	}
	lines := strings.Split(strings.TrimSpace(d.Input), "\n")
	var header []string
	for _, l := range lines[1:] {
		k, v, _ := strings.Cut(l, ": ")
		header = append(header, k, v)
	}
	target := lines[0]
	if path, q, ok := strings.Cut(target, "?"); ok {
		var parts []string
		for p := range strings.SplitSeq(q, "&") {
			k, v, _ := strings.Cut(p, "=")
			parts = append(parts, k+"="+url.QueryEscape(v))
		}
		target = path + "?" + strings.Join(parts, "&")
	}
	rec := w.ask(method, target, header...)
	var out strings.Builder
	fmt.Fprintf(&out, "%d\n", rec.Code)
	for _, h := range show {
		if v := rec.Header().Get(h); v != "" {
			fmt.Fprintf(&out, "%s: %s\n", h, v)
		}
	}
	b := body(t, rec)
	if strings.Contains(rec.Header().Get("Content-Type"), "json") && len(b) > 0 {
		var pretty bytes.Buffer
		if err := json.Indent(&pretty, b, "", " "); err != nil {
			t.Fatalf("%s: the answer is no JSON: %v\n%s", target, err, b)
		}
		b = pretty.Bytes()
	}
	if len(b) > 0 && rec.Header().Get("Content-Encoding") == "" {
		fmt.Fprintf(&out, "%s\n", bytes.TrimRight(b, "\n"))
	}
	return out.String()
}
