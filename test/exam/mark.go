package main

import (
	"slices"
	"time"
)

// patience is how soon the culprit must be named.
const patience = 15 * time.Second

// A sight is what one answer of the API said.
type sight struct {
	at       time.Duration // after the trial began
	culprits []string      // GraphNode.ID, the worst first
	kind     string        // in what way the first of them is ill
}

// A mark is what became of one trial. See add for what is counted.
type mark struct {
	trial
	sights int
	named  time.Duration  // when the culprit was first named first; never where it is negative
	lost   int            // sights that did not name the culprit first though it had been named before, or had to be
	kinds  map[string]int // in what way the culprit was ill, by sights that named it first
	others map[string]int // who else was named by itself, by sights
	silent int            // questions without an answer
	well   time.Duration  // how long after the chapter's end nobody was named any more; negative if that took too long
}

func newMark(t trial) *mark {
	return &mark{trial: t, named: -1, well: -1, kinds: map[string]int{}, others: map[string]int{}}
}

// add takes in a sight of the time in which the chapter was told.
func (m *mark) add(s sight) {
	m.sights++
	for _, c := range s.culprits {
		if !m.struck || c != m.fault.Node {
			m.others[c]++
		}
	}
	if !m.struck {
		return
	}
	first := slices.Index(s.culprits, m.fault.Node) == 0
	if first {
		m.kinds[s.kind]++
		if m.named < 0 {
			m.named = s.at
		}
	} else if m.named >= 0 || s.at > patience {
		m.lost++
	}
}

// unanswered counts a question that the API left without an answer: whoever asked saw nothing.
func (m *mark) unanswered(at time.Duration) {
	m.silent++
	if m.struck && (m.named >= 0 || at > patience) {
		m.lost++
	}
}

// found says that who was struck, if anybody, was named first within patience and from then on. It must have been looked at all.
func (m *mark) found() bool {
	return m.sights > 0 && (!m.struck || m.named >= 0 && m.named <= patience && m.lost == 0)
}

// held says that the trial was passed: the culprit was found, and nobody else was named by itself.
func (m *mark) held() bool { return m.found() && len(m.others) == 0 }

// calm is what was seen of the time in which all was well.
type calm struct {
	length time.Duration
	sights int
	named  map[string]int // by sights
	alarms int            // how often somebody was named where nobody had been
	before bool           // somebody was named at the last sight
}

// add takes in a sight that came some time after the one before.
func (c *calm) add(s sight, since time.Duration) {
	c.length += since
	c.sights++
	for _, id := range s.culprits {
		if c.named == nil {
			c.named = map[string]int{}
		}
		c.named[id]++
	}
	if len(s.culprits) > 0 && !c.before {
		c.alarms++
	}
	c.before = len(s.culprits) > 0
}
