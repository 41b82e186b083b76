package series

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
)

// everyByte is the environment variable under which every byte is tried, and not only some of them.
const everyByte = "BINNACLE_EVERY_BYTE"

// A harm is what is done to a file.
type harm struct {
	file     string // below the store's directory
	how      string
	to       func([]byte) []byte
	unsealed bool // the blocks are those of an older server, without seals
}

// harms are all that is done to a file's bytes: each one changed, or of few by chance; the file cut; 512 bytes of zeros.
func harms(t *testing.T, h *history, file string, few int, r *rand.Rand) (all []harm) {
	t.Helper()
	whole, err := os.ReadFile(filepath.Join(h.dir, file))
	if err != nil {
		t.Fatal(err)
	}
	size := len(whole)
	flip := func(at int, with byte) {
		all = append(all, harm{file: file, how: fmt.Sprintf("byte %d of %d ^ %#x", at, size, with), to: func(b []byte) []byte { b[at] ^= with; return b }})
	}
	if os.Getenv(everyByte) != "" {
		for at, is := range whole {
			flip(at, 1<<(at%8))
			flip(at, byte(1+r.IntN(255)))
			if filepath.Base(file) != metaName || is < '0' || is > '9' {
				continue
			}
			for digit := byte('0'); digit <= '9'; digit++ {
				if digit != is {
					flip(at, is^digit)
				}
			}
		}
	} else {
		for range few {
			flip(r.IntN(size), 1<<r.IntN(8))
			flip(r.IntN(size), byte(1+r.IntN(7)))
		}
		flip(4, 3) // the version
	}
	for _, to := range []int{0, size - 1, r.IntN(size)} {
		all = append(all, harm{file: file, how: fmt.Sprintf("cut to %d of %d", to, size), to: func(b []byte) []byte { return b[:to] }})
	}
	for at := 0; at < size; at += 512 {
		if os.Getenv(everyByte) == "" && r.IntN(4) > 0 {
			continue
		}
		all = append(all, harm{file: file, how: fmt.Sprintf("zeros from %d of %d", at, size), to: func(b []byte) []byte { clear(b[at:min(at+512, size)]); return b }})
	}
	return all
}

// blockName is what a block's folder is called.
var blockName = regexp.MustCompile(`[0-9A-Z]{26}`)

// Whatever byte of a block is changed, however a file of it is cut or overwritten: each question is answered rightly, or refused with the block's name, or
// the block is set aside by its name when the store is opened: then its samples alone are missing, and each answer that lacks some has a warning that names it. Verify finds each.
func TestEveryByteOfASeriesBlock(t *testing.T) {
	t.Parallel()
	h := blocksOfEachKind(t)
	asked := questions()
	want := make([]telling, len(asked))
	for i, q := range asked {
		want[i] = h.want(q)
	}
	files, err := filepath.Glob(filepath.Join(h.dir, "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	inner, err := filepath.Glob(filepath.Join(h.dir, "*", "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // a test's chance
	const older = "meta.json of an older server"
	byKind := map[string][]harm{"whole": {{how: "nothing"}}, older: {{how: "nothing", unsealed: true}}}
	few := map[string]int{metaName: 6, sealName: 2, "index": 4, "chunks": 3, "tombstones": 1}
	for _, file := range append(files, inner...) {
		st, err := os.Stat(file)
		name, relErr := filepath.Rel(h.dir, file)
		if err != nil || relErr != nil {
			t.Fatal(err, relErr)
		}
		if st.IsDir() || !blockName.MatchString(name) {
			continue
		}
		kind := filepath.Base(file)
		if filepath.Base(filepath.Dir(file)) == "chunks" {
			kind = "chunks"
		}
		byKind[kind] = append(byKind[kind], harms(t, h, name, few[kind], r)...)
		if kind == metaName {
			for _, d := range harms(t, h, name, 3, r) {
				d.unsealed = true
				byKind[older] = append(byKind[older], d)
			}
		}
	}
	for kind, all := range byKind {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			root := t.TempDir()
			outcomes := map[string]int{}
			for i, harm := range all {
				dir := filepath.Join(root, strconv.Itoa(i))
				if err := os.CopyFS(dir, os.DirFS(h.dir)); err != nil {
					t.Fatal(err)
				}
				harm.inflict(t, dir)
				outcome, err := h.tried(t.Context(), dir, harm, asked, want)
				if err != nil {
					t.Errorf("%s, %s: %v", harm.file, harm.how, err)
				}
				outcomes[outcome]++
				if err := os.RemoveAll(dir); err != nil {
					t.Fatal(err)
				}
			}
			t.Logf("of %d harms: %v", len(all), outcomes)
		})
	}
}

func (d harm) inflict(t *testing.T, dir string) {
	t.Helper()
	if d.unsealed {
		seals, err := filepath.Glob(filepath.Join(dir, "*", sealName))
		if err != nil || len(seals) == 0 {
			t.Fatal(seals, err)
		}
		for _, path := range seals {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		}
	}
	if d.file == "" {
		return
	}
	path := filepath.Join(dir, d.file)
	b, err := os.ReadFile(filepath.Clean(path))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, d.to(b), 0o600); err != nil {
		t.Fatal(err)
	}
}

// tried opens a store that is harmed, asks it, and says what came of it. The error is of an answer that is wrong, or of a lack that nobody is told of.
func (h *history) tried(ctx context.Context, dir string, d harm, asked []question, want []telling) (outcome string, err error) {
	block := blockName.FindString(d.file)
	report, err := Verify(ctx, dir)
	if err != nil {
		return "", err
	}
	switch found := slices.ContainsFunc(report.Problems, func(p Problem) bool { return strings.Contains(p.File, block) }); {
	case d.file == "" && len(report.Problems) > 0:
		return "", fmt.Errorf("of a sound store verify says %v", report.Problems)
	case d.file != "" && !found && !d.unsealed && !h.saysTheSame(dir, d.file):
		return "", fmt.Errorf("verify does not find it: %v", report.Problems)
	}
	var log bytes.Buffer
	reg := prometheus.NewRegistry()
	cfg := DefaultConfig()
	cfg.MaxExemplars = 0 // of which none are told
	db, err := Open(dir, cfg, slog.New(slog.NewTextHandler(&log, nil)), reg)
	if err != nil {
		return "", fmt.Errorf("the store does not open: %w", err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	aside, err := filepath.Glob(filepath.Join(dir, damagedPrefix+"*"))
	if err != nil {
		return "", err
	}
	outcome = "right"
	if len(aside) > 0 {
		if filepath.Base(aside[0]) != damagedPrefix+block || len(aside) > 1 || !strings.Contains(log.String(), block) {
			return "", fmt.Errorf("set aside is %v, and told:\n%s", aside, log.String())
		}
		outcome = "set aside"
	}
	unwarned := 0
	for i, q := range asked {
		got, warnings, err := q.ask(ctx, db, q.from, q.to)
		warned := block != "" && strings.Contains(fmt.Sprint(warnings.AsErrors()), block)
		if !warned {
			unwarned++
		}
		switch {
		case err != nil && block != "" && strings.Contains(err.Error(), block):
			outcome = "refused"
		case err != nil:
			return "", fmt.Errorf("%s is refused, and the block is not named: %w", q.name, err)
		case warned && len(aside) > 0:
			if err := subset(got, want[i]); err != nil {
				return "", fmt.Errorf("%s, with the block set aside: %w", q.name, err)
			}
		case warned || len(warnings) > 0:
			return "", fmt.Errorf("%s is answered with a warning: %v", q.name, warnings.AsErrors())
		case !maps.EqualFunc(want[i], got, slices.Equal):
			return "", fmt.Errorf("%s is answered wrongly, and no warning names the block (-want +got):\n%.1500s\n%s", q.name, cmp.Diff(want[i], got), log.String())
		}
	}
	if unwarned == 0 {
		return "", errors.New("there are warnings of times that the block has nothing of")
	}
	switch {
	case outcome != "right" && filepath.Base(d.file) == metaName && !d.unsealed, outcome != "right" && filepath.Base(d.file) == sealName:
		return "", fmt.Errorf("%s, and nothing need be lost for this file:\n%s", outcome, log.String())
	case outcome == "right" && filepath.Base(d.file) != indexName && filepath.Base(filepath.Dir(d.file)) != chunksName: // it is mended, too
		if report, err := Verify(ctx, dir); err != nil || len(report.Problems) > 0 && !d.unsealed {
			return "", fmt.Errorf("after a start verify says %v, %w", report.Problems, err)
		}
	}
	return outcome, nil
}

// saysTheSame is of a description in which a space is another, or a letter of a field's name is large: it is read as it was.
func (h *history) saysTheSame(dir, file string) bool {
	if filepath.Base(file) != metaName {
		return false
	}
	was, _, err := readMeta(filepath.Join(h.dir, filepath.Dir(file)))
	is, _, errIs := readMeta(filepath.Join(dir, filepath.Dir(file)))
	return err == nil && errIs == nil && equal(was, is)
}

// subset says what an answer has that is not in the right one.
func subset(got, of telling) error {
	for name, all := range got {
		for _, s := range all {
			if !slices.Contains(of[name], s) {
				return fmt.Errorf("%s has %s", name, s)
			}
		}
	}
	return nil
}
