package block

import (
	"fmt"
	"math"
	"strconv"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// meta is what is known of a block without reading it: it lies in the
// key-value metadata of each of its files.
type meta struct {
	first, last        telemetry.Position
	receivedMin        int64 // Unix nanoseconds, the log's clock
	receivedMax        int64
	startMin, startMax int64 // of spans
	durationMin        int64
	durationMax        int64
	spans, requests    int
}

// note takes an entry into account.
func (m *meta) note(e telemetry.Entry) {
	if m.first == 0 {
		m.first, m.receivedMin, m.receivedMax = e.Position, e.Batch.Received, e.Batch.Received
		m.startMin, m.startMax = math.MaxInt64, math.MinInt64
		m.durationMin, m.durationMax = math.MaxInt64, math.MinInt64
	}
	m.last = e.Position
	m.receivedMin = min(m.receivedMin, e.Batch.Received)
	m.receivedMax = max(m.receivedMax, e.Batch.Received)
	m.spans += len(e.Batch.Spans)
	m.requests += len(e.Batch.Requests)
}

func (m *meta) noteSpan(start, duration int64) {
	m.startMin, m.startMax = min(m.startMin, start), max(m.startMax, start)
	m.durationMin, m.durationMax = min(m.durationMin, duration), max(m.durationMax, duration)
}

// formatVersion is the latest block format that this binary writes, where it has to (parquetFile.version); it reads all up to it.
const formatVersion = 2

// fields lists what is written, under which name.
func (m *meta) fields() []metaField {
	return []metaField{
		{"binnacle.first_position", (*uintField)(&m.first)},
		{"binnacle.last_position", (*uintField)(&m.last)},
		{"binnacle.received_min", (*intField)(&m.receivedMin)},
		{"binnacle.received_max", (*intField)(&m.receivedMax)},
		{"binnacle.start_min", (*intField)(&m.startMin)},
		{"binnacle.start_max", (*intField)(&m.startMax)},
		{"binnacle.duration_min", (*intField)(&m.durationMin)},
		{"binnacle.duration_max", (*intField)(&m.durationMax)},
		{"binnacle.spans", (*countField)(&m.spans)},
		{"binnacle.requests", (*countField)(&m.requests)},
	}
}

type metaField struct {
	name  string
	value interface {
		String() string
		parse(s string) error
	}
}

type (
	uintField  telemetry.Position
	intField   int64
	countField int
)

func (f *uintField) String() string  { return strconv.FormatUint(uint64(*f), 10) }
func (f *intField) String() string   { return strconv.FormatInt(int64(*f), 10) }
func (f *countField) String() string { return strconv.Itoa(int(*f)) }

func (f *uintField) parse(s string) (err error) {
	v, err := strconv.ParseUint(s, 10, 64)
	*f = uintField(v)
	return err
}

func (f *intField) parse(s string) (err error) {
	v, err := strconv.ParseInt(s, 10, 64)
	*f = intField(v)
	return err
}

func (f *countField) parse(s string) (err error) {
	v, err := strconv.ParseUint(s, 10, 31)
	*f = countField(v)
	return err
}

// errNewer says that a file was written by a later version of Binnacle.
type newerError struct{ version int }

func (e newerError) Error() string {
	return fmt.Sprintf("its format is version %d, this binary reads up to %d; start the newer binary, or move the block away", e.version, formatVersion)
}

// parseMeta reads the metadata of a file.
func parseMeta(kv map[string]string) (meta, error) {
	v, err := strconv.Atoi(kv["binnacle.format"])
	if err != nil {
		return meta{}, fmt.Errorf("metadata binnacle.format: %w", err)
	}
	if v > formatVersion {
		return meta{}, newerError{v}
	}
	var m meta
	for _, f := range m.fields() {
		if err := f.value.parse(kv[f.name]); err != nil {
			return meta{}, fmt.Errorf("metadata %s: %w", f.name, err)
		}
	}
	return m, nil
}
