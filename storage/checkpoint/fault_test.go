package checkpoint

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/binnacle-mesh/binnacle/internal/disk/faulty"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

// Under any sequence of faults and crashes the newest checkpoint that was saved is there, or a later one that was about to be, and the log is
// told to be kept from where the one before needs it.
func TestFaultModel(t *testing.T) {
	t.Parallel()
	quiet := slog.New(slog.DiscardHandler)
	rapid.Check(t, func(rt *rapid.T) {
		fsys := faulty.New(rapid.Uint64().Draw(rt, "seed"))
		d, err := OpenOn(fsys, "/checkpoints", quiet)
		if err != nil {
			rt.Fatal(err)
		}
		var saved, kept, tried telemetry.Position
		text := func(p telemetry.Position) string { return fmt.Sprint(p, strings.Repeat("x", int(p)*997%200_000)) }
		rt.Repeat(map[string]func(*rapid.T){
			"save": func(*rapid.T) {
				tried++
				b := new(Buffer)
				_, _ = b.Write([]byte(text(tried)))
				oldest, err := d.Save(tried, []Part{{"graph", b}})
				if err != nil {
					return
				}
				if oldest > saved {
					rt.Fatalf("the log is to be kept from %d, and the checkpoint before is of %d", oldest, saved)
				}
				saved, kept = tried, oldest
			},
			"fault": func(rt *rapid.T) {
				fsys.Set(rapid.SampledFrom([]faulty.Faults{
					{Full: true}, {Full: true, Room: 70_000}, {FailWrite: true}, {FailSync: true}, {FailSync: true, Drop: true}, {ReadOnly: true}, {},
				}).Draw(rt, "fault"))
			},
			"crash": func(*rapid.T) {
				fsys.Crash()
				if d, err = OpenOn(fsys, "/checkpoints", quiet); err != nil {
					rt.Fatal(err)
				}
				at, _, err := d.Load(func(p telemetry.Position, s []Section) error {
					if len(s) != 1 || string(s[0].Data) != text(p) {
						rt.Fatalf("what was loaded is not what was saved at %d", p)
					}
					return nil
				})
				if err != nil || at < saved || at > tried {
					rt.Fatalf("loaded %d, %v; saved was %d, and tried %d", at, err, saved, tried)
				}
				oldest, err := d.Oldest()
				if err != nil || oldest < kept {
					rt.Fatalf("the log is to be kept from %d, and was cut to %d (%v)", oldest, kept, err)
				}
				saved = at
			},
		})
	})
}
