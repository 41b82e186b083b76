package checkpoint

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"syscall"
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

// saved makes a directory with checkpoints at the positions on a file system of which calls can be made to fail.
func saved(t *testing.T, fail func(op, name string) error, positions ...telemetry.Position) *Dir {
	t.Helper()
	d, err := OpenOn(faulty.Over{FS: faulty.New(1), Fail: fail}, "/checkpoints", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	for _, pos := range positions {
		b := new(Buffer)
		_, _ = fmt.Fprint(b, pos)
		if _, err := d.Save(pos, []Part{{"graph", b}}); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

func accept(telemetry.Position, []Section) error { return nil }

// A checkpoint that the machine does not let be read may be sound: it stays where it is. The one before stands in for it, as the log is kept for
// that one; where there is none, nothing is loaded, since all that the log no longer has would be lost for good.
func TestLoadSetsNothingAsideForTheMachinesFault(t *testing.T) {
	t.Parallel()
	for _, op := range [...]string{"open", "read"} {
		for _, cause := range [...]syscall.Errno{syscall.EMFILE, syscall.EACCES, syscall.EIO} {
			var bad string // what cannot be read
			d := saved(t, func(o, name string) error {
				if bad != "" && o == op && strings.Contains(name, bad) {
					return cause
				}
				return nil
			}, 3, 5)
			bad = "5.ckpt"
			if at, aside, err := d.Load(accept); at != 3 || len(aside) > 0 || err != nil {
				t.Errorf("%s of the newest fails with %v: loaded %d, set aside %v, %v", op, cause, at, aside, err)
			}
			bad = ".ckpt"
			if at, aside, err := d.Load(accept); !errors.Is(err, cause) || !strings.Contains(err.Error(), "5.ckpt.damaged") || len(aside) > 0 {
				t.Errorf("%s fails with %v: loaded %d, set aside %v, %v", op, cause, at, aside, err)
			}
			bad = ""
			if at, aside, err := d.Load(accept); at != 5 || len(aside) > 0 || err != nil {
				t.Errorf("after that: loaded %d, set aside %v, %v", at, aside, err)
			}
		}
	}
}

// What was set aside stays, also where one of the same name follows it.
func TestSetAsideTwice(t *testing.T) {
	t.Parallel()
	d := saved(t, func(string, string) error { return nil })
	for range 3 {
		b := new(Buffer)
		if _, err := d.Save(7, []Part{{"graph", b}}); err != nil {
			t.Fatal(err)
		}
		if _, _, err := d.Load(func(telemetry.Position, []Section) error { return errors.New("it makes no sense") }); err != nil {
			t.Fatal(err)
		}
	}
	names, err := d.fs.Names("/checkpoints")
	if err != nil || len(names) != 3 {
		t.Errorf("there is %v, %v", names, err)
	}
}
