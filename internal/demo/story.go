package demo

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// The chapters of the story, in the order of their telling. Between two of them the shop is calm.
const (
	ChapterCalm    = "calm"
	ChapterSlow    = "slow"    // fulfil/inventory turns slow, and all that wait for it
	ChapterErrors  = "errors"  // billing/payment fails every other charge
	ChapterQuota   = "quota"   // a crawler searches far beyond its quota
	ChapterRelease = "release" // shop/recommend v2 takes a third of the traffic, and calls reviews as well
	ChapterHeaders = "headers" // shop/search forgets to pass trace headers on: its traces break in two
)

// What the chapters do, in numbers.
const (
	slowExtra     = 400 * time.Millisecond // added to each of inventory's answers
	errorShare    = 0.5                    // of payments
	canaryShare   = 0.35                   // of calls to a service with a second version
	crawlerCalm   = 2.0                    // searches a second
	crawlerGreedy = 25.0
)

// Whom the chapters strike.
const (
	slowService    = "inventory"
	failingService = "payment"
	refusedService = "search" // in front of it stands the limit that the crawler exceeds
)

// A Fault is what a chapter does to the shop: who is ill by its own doing, and in what way.
type Fault struct {
	Node string // GraphNode.ID
	Kind telemetry.Ailment
}

// FaultOf is a chapter's fault. ok is false of a chapter in which nobody is ill.
func FaultOf(chapter string) (f Fault, ok bool) {
	var name string
	switch chapter {
	case ChapterSlow:
		name, f.Kind = slowService, telemetry.AilmentSlow
	case ChapterErrors:
		name, f.Kind = failingService, telemetry.AilmentFailing
	case ChapterQuota:
		name, f.Kind = refusedService, telemetry.AilmentThrottled
	default:
		return Fault{}, false
	}
	of, _ := theShop().service(name)
	f.Node = telemetry.Node{Kind: telemetry.NodeService, Namespace: of.namespace, Name: of.name}.ID()
	return f, true
}

// chapter is a part of the story.
type chapter struct {
	name   string
	length time.Duration
	tells  string
	watch  string
}

func theStory() []chapter {
	calm := chapter{name: ChapterCalm, length: 15 * time.Second, tells: "all is calm", watch: "the whole map"}
	const long = 35 * time.Second
	return []chapter{
		calm,
		{name: ChapterSlow, length: long, tells: "inventory turns slow", watch: "the edges into fulfil/inventory"},
		calm,
		{name: ChapterErrors, length: long, tells: "payment fails every other charge", watch: "shop/checkout > billing/payment"},
		calm,
		{name: ChapterQuota, length: long, tells: "a crawler searches far beyond its quota", watch: "shop/frontend > shop/search, and the Quotas page"},
		calm,
		{name: ChapterRelease, length: long, tells: "recommend v2 is released, and calls reviews as well", watch: "the new edge shop/recommend > shop/reviews"},
		calm,
		{name: ChapterHeaders, length: long, tells: "search drops trace headers", watch: "traces that end at shop/search while the map stays whole"},
	}
}

// Chapters are the names that Config.Chapter may have.
func Chapters() []string {
	return []string{ChapterCalm, ChapterSlow, ChapterErrors, ChapterQuota, ChapterRelease, ChapterHeaders}
}

// story holds the chapter that is being told. Safe for concurrent use.
type story struct {
	now atomic.Pointer[chapter]
}

// telling reports whether this is the chapter.
func (s *story) telling(name string) bool { return s.now.Load().name == name }

// newStory opens the story at what the configuration asks for: a pinned chapter, or calm.
func newStory(cfg Config) *story {
	s := &story{}
	if !s.open(cfg.Chapter) {
		s.open(ChapterCalm)
	}
	return s
}

// open has a chapter told from now on; it is false where there is none of that name.
func (s *story) open(name string) bool {
	for _, c := range theStory() {
		if c.name == name {
			s.now.Store(&c)
			return true
		}
	}
	return false
}

// Tell has a chapter told from now on, until the next is told. It is for a mesh whose story does not go on by itself (Config.Story). It may
// be called at any time, also while another call is under way.
func (m *Mesh) Tell(chapter string) error {
	if !m.story.open(chapter) {
		return fmt.Errorf("demo: no chapter is called %q: tell one of %s", chapter, strings.Join(Chapters(), ", "))
	}
	return nil
}

// tell goes through the chapters again and again until ctx ends, with a log line for each.
func (s *story) tell(ctx context.Context, log *slog.Logger) {
	for {
		for _, c := range theStory() {
			s.now.Store(&c)
			log.Info("the story goes on", "now", c.tells, "chapter", c.name, "seconds", int(c.length.Seconds()), "watch", c.watch)
			select {
			case <-ctx.Done():
				return
			case <-time.After(c.length):
			}
		}
	}
}
