package binnacle

import (
	"net/http"

	"github.com/binnacle-mesh/binnacle/internal/api"
	"github.com/binnacle-mesh/binnacle/internal/api/jsonout"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

// Status is what this server is and how it fares, as docs/api/http.md has it.
type Status struct {
	Name     string            `json:"name"`
	Version  string            `json:"version"`
	Started  int64             `json:"started"` // Unix ms
	Ready    bool              `json:"ready"`
	Ports    []Port            `json:"ports"`
	Received Received          `json:"received"`
	Stored   Stored            `json:"stored"`
	Log      LogStatus         `json:"log"`
	Series   uint64            `json:"series"`
	Dropped  map[string]uint64 `json:"dropped"` // by reason
	Findings []Finding         `json:"findings"`
}

// Finding is something that the server noticed and an operator should know; see telemetry.Finding.
type Finding struct {
	Kind    string `json:"kind"`
	Subject string `json:"subject"`
	Says    string `json:"says"`
	Remedy  string `json:"remedy"`
	Count   uint64 `json:"count"`
	Since   int64  `json:"since"` // Unix ms
	Loss    bool   `json:"loss"`
}

// Port is an address that the server listens on.
type Port struct {
	Name    string `json:"name"` // its key in the section listen, or as if it stood there: zipkin, jaeger_grpc
	Address string `json:"address"`
	Speaks  string `json:"speaks"`
}

// Received counts what was acknowledged since the start.
type Received struct {
	Spans    uint64 `json:"spans"`
	Requests uint64 `json:"requests"`
}

// Stored is what the trace store holds.
type Stored struct {
	Spans  uint64 `json:"spans"`
	Bytes  uint64 `json:"bytes"`
	Blocks uint64 `json:"blocks"`
	// Damaged is what is known not to be readable; answers that it concerns say that they are incomplete.
	Damaged []Damaged `json:"damaged,omitempty"`
}

// Damaged is a file of the trace store, or the folder of a block, that cannot be read; or, under series/, what was set aside of the series.
type Damaged struct {
	File   string `json:"file"`
	Reason string `json:"reason"`
}

// LogStatus is how the log fares, and who follows it.
type LogStatus struct {
	Bytes        uint64           `json:"bytes"`
	Missing      uint64           `json:"missing"`       // batches that the log had and has lost, as far as it is still kept
	Uncertain    uint64           `json:"uncertain"`     // batches that there may have been, at the most, behind its damaged end when it was opened
	DamagedBytes uint64           `json:"damaged_bytes"` // that are no readable batch
	Followers    []FollowerStatus `json:"followers"`
	Restored     Restored         `json:"restored"`
}

// Restored is with what graph and signals began at the start.
type Restored struct {
	Checkpoint uint64     `json:"checkpoint"` // its position; 0: from what the log held alone
	SetAside   []SetAside `json:"set_aside"`
	// MissingBatches is how many batches are in neither the checkpoint nor the log: what graph and signals had of them is lost.
	MissingBatches uint64 `json:"missing_batches"`
}

// SetAside is a checkpoint that was of no use.
type SetAside struct {
	File   string `json:"file"`
	Reason string `json:"reason"`
}

// FollowerStatus is how far a follower of the log is.
type FollowerStatus struct {
	Name       string  `json:"name"`
	Policy     string  `json:"policy"`      // essential, or best_effort
	Position   uint64  `json:"position"`    // of the record that it passed last
	LagSeconds float64 `json:"lag_seconds"` // age of the oldest record that it has not passed
	LagBytes   uint64  `json:"lag_bytes"`   // of the log that it has not passed
	LeftOut    LeftOut `json:"left_out"`
}

// LeftOut is what a follower was not given since the start: a best-effort one because it was too far behind, any because the log had lost it. Of records that
// were in the log before the start, spans and requests are not known and count as 0.
type LeftOut struct {
	Batches  uint64 `json:"batches"`
	Spans    uint64 `json:"spans"`
	Requests uint64 `json:"requests"`
	Lost     uint64 `json:"lost"` // batches among those that the log no longer had
}

func (d *Dialect) status(*http.Request) (api.Answer, error) {
	s := d.deps.Status()
	if s.Ports == nil {
		s.Ports = []Port{}
	}
	if s.Log.Followers == nil {
		s.Log.Followers = []FollowerStatus{}
	}
	if s.Findings == nil {
		s.Findings = []Finding{}
	}
	if s.Log.Restored.SetAside == nil {
		s.Log.Restored.SetAside = []SetAside{}
	}
	if s.Dropped == nil {
		s.Dropped = map[string]uint64{}
	}
	return api.Value(s)
}

// configSchema is for editors, which complete a configuration by it.
func (d *Dialect) configSchema(*http.Request) (api.Answer, error) {
	return api.Answer{Type: "application/schema+json", Body: d.deps.ConfigSchema}, nil
}

func (d *Dialect) services(r *http.Request) (api.Answer, error) {
	services, err := d.deps.Query.Services(r.Context())
	if err != nil {
		return api.Answer{}, err
	}
	j := jsonout.Writer{}
	j.Open('{')
	j.Key("services")
	jsonout.List(&j, services, func(j *jsonout.Writer, s *telemetry.ServiceEntry) {
		j.Open('{')
		j.Field("name", s.Name)
		j.Field("namespace", s.Namespace)
		j.Key("operations")
		jsonout.List(j, s.Operations, func(j *jsonout.Writer, o *telemetry.OperationEntry) {
			j.Open('{')
			j.Field("name", o.Name)
			j.Field("kind", o.Kind)
			j.Close('}')
		})
		j.Close('}')
	})
	writeIncomplete(&j, d.deps.Query.Damaged())
	j.Close('}')
	return api.JSON(j.B), nil
}
