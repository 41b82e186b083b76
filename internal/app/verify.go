package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/binnacle-mesh/binnacle/aggregator"
	"github.com/binnacle-mesh/binnacle/internal/config"
	"github.com/binnacle-mesh/binnacle/quota"
	"github.com/binnacle-mesh/binnacle/storage/block"
	"github.com/binnacle-mesh/binnacle/storage/checkpoint"
	"github.com/binnacle-mesh/binnacle/storage/journal"
	"github.com/binnacle-mesh/binnacle/storage/series"
	"github.com/binnacle-mesh/binnacle/storage/wal"
	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/topology"
)

// Verified is what Verify found in one part of a data directory.
type Verified struct {
	Part     string // log, checkpoints, blocks, series, quota counters
	Holds    string // how much of what was read
	Problems []VerifyProblem
}

// A VerifyProblem is something that is not as it was written.
type VerifyProblem struct {
	File   string
	Reason string
}

// Verify reads all that a server keeps in a data directory, and holds it against its checksums and against itself. It changes nothing, and a
// server may be at work in the directory. The error says that something could not be read at all.
func Verify(ctx context.Context, data string) ([]Verified, error) {
	st, err := os.Stat(data)
	if err != nil {
		return nil, fmt.Errorf("verify: %w", err)
	}
	if !st.IsDir() {
		return nil, fmt.Errorf("verify: %s is no directory", data)
	}
	var all []Verified
	for _, part := range []func(context.Context, string) (Verified, error){verifyLog, verifyCheckpoints, verifyBlocks, verifySeries, verifyQuota} {
		v, err := part(ctx, data)
		if err != nil {
			return all, err
		}
		all = append(all, v)
	}
	return all, nil
}

func verifyLog(_ context.Context, data string) (Verified, error) {
	r, err := wal.Verify(filepath.Join(data, "wal"))
	v := Verified{Part: "log", Holds: fmt.Sprintf("%d records in %d segments, %d bytes", r.Records, r.Segments, r.Bytes)}
	for _, p := range r.Problems {
		v.Problems = append(v.Problems, VerifyProblem(p))
	}
	return v, err
}

func verifyCheckpoints(_ context.Context, data string) (Verified, error) {
	cfg := config.Default()
	r, err := checkpoint.Verify(filepath.Join(data, "checkpoints"), func(_ telemetry.Position, saved []checkpoint.Section) error {
		// States of their own, so that those of one checkpoint are not judged by another's.
		graph := topology.New(cfg.Topology)
		sections := []section{{"topology", graph}, {"annals", graph.Annals()}, {"findings", graph.Doubts()}, {"aggregator", aggregator.New(cfg.Aggregator, prometheus.NewRegistry())}}
		for _, s := range sections {
			for _, c := range saved {
				if c.Name != s.name {
					continue
				}
				if _, err := prepare(s, c.Data); err != nil {
					return fmt.Errorf("section %s: %w", s.name, err)
				}
			}
		}
		return nil
	})
	v := Verified{Part: "checkpoints", Holds: fmt.Sprintf("%d checkpoints, %d bytes", r.Checkpoints, r.Bytes)}
	for _, p := range r.Problems {
		v.Problems = append(v.Problems, VerifyProblem(p))
	}
	return v, err
}

func verifyBlocks(_ context.Context, data string) (Verified, error) {
	dir := filepath.Join(data, "blocks")
	r, err := block.Verify(dir)
	v := Verified{Part: "blocks", Holds: fmt.Sprintf("%d rows in %d blocks, %d bytes", r.Rows, r.Blocks, r.Bytes)}
	if r.Unchecked > 0 {
		v.Holds += fmt.Sprintf("; %d files are of a version with fewer checksums", r.Unchecked)
	}
	for _, p := range r.Problems {
		v.Problems = append(v.Problems, VerifyProblem{filepath.Join(dir, p.File), p.Reason})
	}
	return v, err
}

func verifySeries(ctx context.Context, data string) (Verified, error) {
	r, err := series.Verify(ctx, filepath.Join(data, "series"))
	v := Verified{Part: "series", Holds: fmt.Sprintf("%d series in %d blocks, %d records in its log", r.Series, r.Blocks, r.Records)}
	for _, p := range r.Problems {
		v.Problems = append(v.Problems, VerifyProblem(p))
	}
	return v, err
}

func verifyQuota(_ context.Context, data string) (Verified, error) {
	path := filepath.Join(data, "quota", "counters")
	recall := quota.NewRecall(quota.DefaultConfig(), time.Now().Unix())
	r := journal.Verify(path, recall.Add)
	v := Verified{Part: "quota counters", Holds: fmt.Sprintf("%d records", r.Records)}
	if r.Damage != nil {
		v.Problems = append(v.Problems, VerifyProblem{path, strings.ReplaceAll(r.Damage.Error(), "\n", "; ")})
	}
	aside := path + ".damaged"
	if _, err := os.Stat(aside); err == nil {
		v.Problems = append(v.Problems, VerifyProblem{aside, "it was set aside as damaged; remove it when it is of no more use"})
	} else if !errors.Is(err, fs.ErrNotExist) {
		return v, fmt.Errorf("verify quota counters: %w", err)
	}
	return v, nil
}
