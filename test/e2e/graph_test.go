package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/binnacle-mesh/binnacle/internal/demo"
)

// graph is what docs/api/http.md says of the service graph, as far as these tests read it.
type graph struct {
	Version      uint64   `json:"version"`
	Origin       string   `json:"origin"`
	Nodes        []node   `json:"nodes"`
	Edges        []edge   `json:"edges"`
	RemovedNodes []string `json:"removed_nodes"`
	RemovedEdges []string `json:"removed_edges"`
}

type node struct {
	ID       string   `json:"id"`
	Kind     string   `json:"kind"`
	System   string   `json:"system"`
	Versions []string `json:"versions"`
}

type edge struct {
	ID       string            `json:"id"`
	Source   string            `json:"source"`
	Target   string            `json:"target"`
	Protocol string            `json:"protocol"`
	Windows  map[string]window `json:"windows"`
	Totals   struct {
		Requests  uint64 `json:"requests"`
		Errors    uint64 `json:"errors"`
		Throttled uint64 `json:"throttled"`
	} `json:"totals"`
	Witnesses   map[string]uint64 `json:"witnesses"`
	MTLS        float64           `json:"mtls"`
	ThrottledBy []struct {
		Rule string  `json:"rule"`
		Rate float64 `json:"rate"`
	} `json:"throttled_by"`
}

type window struct {
	Rate          float64 `json:"rate"`
	ErrorRate     float64 `json:"error_rate"`
	ThrottledRate float64 `json:"throttled_rate"`
	P50           float64 `json:"p50"`
}

// topology is the graph without its numbers.
func (g graph) topology() demo.Topology {
	var t demo.Topology
	for _, n := range g.Nodes {
		t.Nodes = append(t.Nodes, demo.TopologyNode{ID: n.ID, Kind: n.Kind, System: n.System})
	}
	for _, e := range g.Edges {
		t.Edges = append(t.Edges, demo.TopologyEdge{ID: e.ID, Source: e.Source, Target: e.Target, Protocol: e.Protocol, MTLS: e.MTLS == 1})
	}
	slices.SortFunc(t.Nodes, func(a, b demo.TopologyNode) int { return strings.Compare(a.ID, b.ID) })
	slices.SortFunc(t.Edges, func(a, b demo.TopologyEdge) int { return strings.Compare(a.ID, b.ID) })
	return t
}

// edge finds an edge; the zero edge when it is not there.
func (g graph) edge(id string) edge {
	for _, e := range g.Edges {
		if e.ID == id {
			return e
		}
	}
	return edge{}
}

// follow reads the live graph's stream and calls on for each event ("snapshot" or "delta") until ctx ends, on returns
// false, or the stream breaks, which is the error.
func (s *server) follow(ctx context.Context, on func(event string, g graph) bool) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.web+"/api/v1/graph/stream", http.NoBody)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if kind := response.Header.Get("content-type"); response.StatusCode != http.StatusOK || !strings.HasPrefix(kind, "text/event-stream") {
		return fmt.Errorf("graph stream: %s, %s", response.Status, kind)
	}
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, 16<<20)
	var event string
	var data bytes.Buffer
	for lines.Scan() {
		field, value, _ := strings.Cut(lines.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch field {
		case "event":
			event = value
		case "data":
			data.WriteString(value)
		case "":
			if lines.Text() != "" || data.Len() == 0 {
				continue // a comment, or an event without data
			}
			var g graph
			if err := json.Unmarshal(data.Bytes(), &g); err != nil {
				return fmt.Errorf("graph stream: %s: %w", event, err)
			}
			data.Reset()
			if !on(event, g) {
				return nil
			}
		}
	}
	if err := lines.Err(); err != nil && ctx.Err() == nil {
		return fmt.Errorf("graph stream: %w", err)
	}
	return ctx.Err()
}

// live is the graph now.
func (s *server) live(t *testing.T) graph {
	t.Helper()
	var g graph
	s.get(t, "/api/v1/graph", &g)
	return g
}
