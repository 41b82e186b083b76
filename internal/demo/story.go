package demo

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"
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

// set opens the story at what the configuration asks for: a pinned chapter, or calm.
func newStory(cfg Config) *story {
	s := &story{}
	s.now.Store(&chapter{name: ChapterCalm})
	for _, c := range theStory() {
		if c.name == cfg.Chapter {
			s.now.Store(&c)
			break
		}
	}
	return s
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
