package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// String is the trial's result in a line.
func (m *mark) String() string {
	verdict := "held"
	if !m.held() {
		verdict = "NOT HELD"
	}
	switch {
	case !m.struck:
		return fmt.Sprintf("%s; %d looks, named %s", verdict, m.sights, names(m.others))
	case m.named < 0:
		return fmt.Sprintf("%s; %s was never named first in %d looks, others %s", verdict, m.fault.Node, m.sights, names(m.others))
	default:
		return fmt.Sprintf("%s; %s named first after %.1f s (%s), not first in %d of %d looks, without answer %d, others %s",
			verdict, m.fault.Node, m.named.Seconds(), names(m.kinds), m.lost, m.sights, m.silent, names(m.others))
	}
}

// names are names with how often each was seen, the most frequent first.
func names(of map[string]int) string {
	if len(of) == 0 {
		return "none"
	}
	keys := slices.SortedFunc(maps.Keys(of), func(a, b string) int {
		if of[a] != of[b] {
			return of[b] - of[a]
		}
		return strings.Compare(a, b)
	})
	for i, k := range keys {
		keys[i] = fmt.Sprintf("%s %d", k, of[k])
	}
	return strings.Join(keys, ", ")
}

// report prints what became of the trials, by chapter, and of the healthy minutes. There may be fewer than planned.
func (e *exam) report(to io.Writer, plan []trial) {
	w := tabwriter.NewWriter(to, 2, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\nchapter\tculprit\ttrials\tfound\theld\tnamed first after, median\tat most\tlooks\tnot first\tothers named\twell after, median\tat most")
	found, held := 0, 0
	for _, chapter := range trialChapters() {
		var named, well []time.Duration
		var marks []*mark
		culprit, right, ok, looks, lost, others := "nobody", 0, 0, 0, 0, map[string]int{}
		for _, m := range e.marks {
			if m.chapter != chapter {
				continue
			}
			marks = append(marks, m)
			if m.found() {
				right++
			}
			if m.held() {
				ok++
			}
			if m.struck {
				culprit = m.fault.Node
				if m.named >= 0 {
					named = append(named, m.named)
				}
				if m.well >= 0 {
					well = append(well, m.well)
				}
			}
			looks, lost = looks+m.sights, lost+m.lost
			for id, n := range m.others {
				others[id] += n
			}
		}
		if len(marks) == 0 {
			continue
		}
		found, held = found+right, held+ok
		fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%d\t%s\t%d\t%d\t%s\t%s\n", chapter, culprit, len(marks), right, ok, middleAndMost(named), looks, lost, names(others), middleAndMost(well))
	}
	_ = w.Flush()
	if n := len(e.marks); n > 0 {
		fmt.Fprintf(to, "\nin %d of %d trials (%d planned) who was struck, if anybody, was named first within %s and to the end; in %d (%.0f %%) nobody else was named by itself: these held\n",
			found, n, len(plan), patience, held, 100*float64(held)/float64(n))
	}
	fmt.Fprintf(to, "in %.1f healthy minutes (%d looks) somebody was named %d times: %s\n", e.calm.length.Minutes(), e.calm.sights, e.calm.alarms, names(e.calm.named))
	fmt.Fprintf(to, "in the %.1f minutes before, in which the mesh warmed up and nothing was judged, %d times: %s\n", e.warm.length.Minutes(), e.warm.alarms, names(e.warm.named))
	for _, m := range e.marks {
		if !m.held() {
			fmt.Fprintf(to, "%s for %s: %s\n", m.chapter, m.length, m)
		}
	}
}

// middleAndMost is the median and the largest, as two columns.
func middleAndMost(of []time.Duration) string {
	if len(of) == 0 {
		return "-\t-"
	}
	slices.Sort(of)
	return fmt.Sprintf("%.1f s\t%.1f s", of[len(of)/2].Seconds(), of[len(of)-1].Seconds())
}
