package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/binnacle-mesh/binnacle/test/load"
)

// A bench holds what the measurements share.
type bench struct {
	dir       string
	length    time.Duration
	subjects  []*subject // the server to measure, and that against which
	rounds    int        // how often each figure is taken of each
	searched  int        // spans in the store when queries are measured
	shop      *load.Shop
	questions *load.Questions
	figures   []*figure
	serial    uint64 // of servers started, for their folders' names and their loads' ids
}

// A subject is a server's binary under measurement.
type subject struct{ name, binary string }

// copyTo has the server run from a copy. How much of a program's file is resident depends on how the kernel came to have it in memory: as the
// linker wrote it, it was 10 MB more than from a copy, of the very same bytes.
func (s *subject) copyTo(dir string) error {
	b, err := os.ReadFile(s.binary)
	if err != nil {
		return err
	}
	s.binary = filepath.Join(dir, "binnacle"+s.name)
	return os.WriteFile(s.binary, b, 0o700)
}

// A measurement takes some figures of one server after another. Its floor, where it has one, is taken once a round and
// shared by the servers.
type measurement struct {
	name, heading string
	floor         func(*bench, context.Context) (float64, error) // CPU µs a unit
	take          func(*bench, context.Context, *subject, float64) ([]reading, error)
	all           func(*bench, context.Context) error // instead of take: does the rounds itself
}

func measurements() []measurement {
	return []measurement{
		{name: "spans", heading: "Spans: OTLP gRPC, 512 a request, flat out", floor: (*bench).spanFloor, take: (*bench).spans},
		{name: "sizes", heading: "Spans over services and edges: 40 and 120, 1,000 and 5,000, 10,000 and 50,000, in turn", all: (*bench).sizes},
		{name: "memory", heading: "Spans at 40,000 a second", take: (*bench).memory},
		{name: "freshness", heading: "From a span sent to its edge on the stream, beside 20,000 spans a second", take: (*bench).freshness},
		{name: "logs", heading: "Log entries: ALS v3, 30 a message, 200,000 a second", floor: logFloor(busyLogs), take: logsAt(busyLogs)},
		{name: "calmlogs", heading: "Log entries at 20,000 a second", floor: logFloor(calmLogs), take: logsAt(calmLogs)},
		{name: "quota", heading: "Quota decisions: RLS v3, 10,000 keys, flat out", floor: quotaFloor(0), take: quotaAt(0)},
		{name: "calmquota", heading: "Quota decisions at 4,000 a second", floor: quotaFloor(4000), take: quotaAt(4000)},
		{name: "quotaflood", heading: "Quota decisions at 500 a second, beside spans flat out", take: (*bench).quotaFlood},
		{name: "queries", heading: "Queries over a store of spans", all: (*bench).queries},
	}
}

func names() string {
	var out []string
	for _, m := range measurements() {
		out = append(out, m.name)
	}
	return strings.Join(out, ", ")
}

func (b *bench) measure(ctx context.Context, m *measurement) error {
	fmt.Printf("\n%s\n%s\n", m.heading, strings.Repeat("-", len(m.heading)))
	if m.all != nil {
		return m.all(b, ctx)
	}
	for round := range b.rounds {
		var floor float64
		var err error
		if m.floor != nil {
			if floor, err = m.floor(b, ctx); err != nil {
				return fmt.Errorf("floor: %w", err)
			}
			fmt.Printf("  %-4s %-44s %9.2f µs\n", "", "floor", floor)
		}
		for _, who := range b.order(round) {
			s := b.subjects[who]
			readings, err := m.take(b, ctx, s, floor)
			if err != nil {
				return fmt.Errorf("%s: %w", s.binary, err)
			}
			b.note(who, readings)
		}
	}
	return nil
}

// order is which subject comes first and which next in a round: each comes first as often, lest what one leaves behind (files to
// be written, a warm cache) always be the other's.
func (b *bench) order(round int) []int {
	order := []int{0, 1}[:len(b.subjects)]
	if round%2 == 1 {
		slices.Reverse(order)
	}
	return order
}

// note prints what was read of a subject, and keeps it for the verdict.
func (b *bench) note(who int, readings []reading) {
	for _, r := range readings {
		fmt.Printf("  %-4s %-44s %9.2f %-6s %s\n", b.subjects[who].name, r.name, r.value, r.unit, r.remark)
		b.figure(r.name, r.unit).add(who, r.value)
	}
}

func (b *bench) figure(name, unit string) *figure {
	for _, f := range b.figures {
		if f.name == name {
			return f
		}
	}
	f := &figure{name: name, unit: unit}
	b.figures = append(b.figures, f)
	return f
}

// spansOf is a load of ids that no other of this run has.
func (b *bench) spansOf() *load.Spans {
	b.serial++
	return load.NewSpans(b.shop, b.serial)
}

// folder is a new server's.
func (b *bench) folder() string {
	b.serial++
	return filepath.Join(b.dir, fmt.Sprintf("server%d", b.serial))
}
