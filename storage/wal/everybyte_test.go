package wal

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/prometheus/tsdb/wlog"
	"github.com/prometheus/prometheus/util/compression"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// everyByte is the environment variable under which every byte is tried, and not only some of them.
const everyByte = "BINNACLE_EVERY_BYTE"

// Each byte of a segment, of either version, is changed in turn. The records that it is no part of are given, in order, and nothing
// else is; where a record is missing the log says so. Padding that is changed may cost nothing, and is told or not.
func TestEveryByte(t *testing.T) {
	t.Parallel()
	bodies := []string{"first", "", strings.Repeat("long ", 7000), "after the page's end", "last"} // the third fills a page and begins another
	for name, write := range map[string]func(dir string){
		"version 2": func(dir string) {
			l := open(t, dir, small(), 0)
			for _, body := range bodies {
				l.put(t, body)
			}
			_ = l.Close()
		},
		"version 1": func(dir string) {
			wl, err := wlog.NewSize(slog.New(slog.DiscardHandler), nil, dir, 1<<20, compression.None)
			if err != nil {
				t.Fatal(err)
			}
			for i, body := range bodies {
				if err := wl.Log(batchOf(body).AppendRecord(append([]byte{byte(i + 1)}, make([]byte, headerBytes-1)...))); err != nil {
					t.Fatal(err)
				}
			}
			if err := wl.Close(); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			write(dir)
			at := places(t, dir)
			whole, err := os.ReadFile(segmentName(dir, 0))
			if err != nil {
				t.Fatal(err)
			}
			stride := 251 // a prime: each place within a frame has its turn
			if os.Getenv(everyByte) != "" {
				stride = 1
			}
			tried, right, said := 0, 0, 0
			root := t.TempDir()
			for i := 0; i < len(whole); i++ {
				// The heads of frames are few and tell how the rest is read: each of their bytes is tried at all times.
				head := slices.ContainsFunc(bodiesAt(at), func(from int64) bool { return int64(i) >= from && int64(i) < from+frameBytes+headerBytes })
				if !head && i%stride != 0 {
					continue
				}
				tried++
				bad := slices.Clone(whole)
				bad[i] ^= byte(1 << (i % 8))
				damaged := filepath.Join(root, strconv.Itoa(i))
				if err := os.Mkdir(damaged, 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(segmentName(damaged, 0), bad, 0o600); err != nil {
					t.Fatal(err)
				}
				var want []string
				for n, body := range bodies {
					if p := at[telemetry.Position(n+1)]; int64(i) < p.from || int64(i) >= p.to {
						want = append(want, fmt.Sprintf("%d:%s", n+1, body))
					}
				}
				l := open(t, damaged, small(), 0)
				if d := cmp.Diff(want, l.rest(t, 0)); d != "" {
					t.Errorf("byte %d of %d is changed (-want +got):\n%.1000s", i, len(whole), d)
				}
				switch told := l.Damage().Places > 0; {
				case told:
					said++
				case len(want) < len(bodies):
					t.Errorf("byte %d of %d is changed: a record is missing and nothing is told", i, len(whole))
				default:
					right++
				}
				_ = l.Close()
				if err := os.RemoveAll(damaged); err != nil {
					t.Fatal(err)
				}
			}
			t.Logf("of %d bytes %d were changed, one at a time: %d times all was right, %d times the log said what it lacks", len(whole), tried, right, said)
		})
	}
}

func bodiesAt(places map[telemetry.Position]place) (all []int64) {
	for _, p := range places {
		all = append(all, p.from)
	}
	return all
}
