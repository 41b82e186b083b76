package quota

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/binnacle-mesh/binnacle/quota/window"
)

// Inspector looks at counters without counting, for people. It is apart from [Counter], since what is shared among processes can
// be counted by each but not looked through by each.
type Inspector interface {
	// Peek returns the use of a key in the window that contains now, in Unix seconds.
	Peek(k window.Key, now int64) uint64
	// CountByTag adds to into[tag] the keys in use under a rule's tag (window.Hit.Tag).
	CountByTag(now int64, into []int)
}

// topShown is how many keys a rule shows.
const topShown = 10

// topKeys returns the keys refused most, then those that have used the greatest share of their limit. length and limit are the
// rule's as it is now; length is 0 where requests bring their own limits, and then each key has the one it came to notice with.
func (e *Engine) topKeys(stats *ruleStats, length uint32, limit uint64, now time.Time) []KeyStatus {
	list := []KeyStatus{}
	unix := e.clock.at(now)
	sec := floorSeconds(unix)
	var resets time.Duration
	if length > 0 {
		resets = time.Unix(window.Start(sec, length)+int64(length), 0).Sub(time.UnixMilli(time.Unix(0, unix).UnixMilli()))
	}
	limitOf := func(noticed uint64) uint64 {
		if length > 0 {
			return limit
		}
		return noticed
	}
	use := func(k window.Key, limit uint64) uint64 { return min(e.inspector.Peek(k, sec), limit) }
	seen := make(map[window.Key]bool)
	for _, r := range stats.limited.Top(topShown, seconds(now)) {
		seen[r.Key] = true
		limit := limitOf(uint64(r.Tag))
		list = append(list, KeyStatus{
			Key: valid([]byte(r.Label)), Used: use(r.Key, limit), Limit: limit, Limited: r.Count, LimitedRate: r.Rate, ResetsIn: resets,
		})
	}
	refused := len(list)
	for _, b := range stats.busiest.List() {
		limit := limitOf(b.Limit)
		if used := use(b.Key, limit); used > 0 && !seen[b.Key] {
			list = append(list, KeyStatus{Key: valid(b.Label), Used: used, Limit: limit, ResetsIn: resets})
		}
	}
	slices.SortStableFunc(list[refused:], func(a, b KeyStatus) int {
		return cmp.Or(-cmp.Compare(a.Used*max(1, b.Limit), b.Used*max(1, a.Limit)), cmp.Compare(a.Key, b.Key))
	})
	return list[:min(topShown, len(list))]
}

// keyCounts caches how many keys each rule has: counting reads every counter, and several viewers may ask every second.
type keyCounts struct {
	mu    sync.Mutex
	byTag []int
	time  time.Time
}

func (c *keyCounts) at(e *Engine, now time.Time) []int {
	tags := int(e.tags.Load())
	c.mu.Lock()
	defer c.mu.Unlock()
	age := now.Sub(c.time)
	if len(c.byTag) == tags && age >= 0 && age < time.Second {
		return c.byTag
	}
	c.byTag, c.time = make([]int, tags), now
	e.inspector.CountByTag(e.clock.unix(now), c.byTag)
	return c.byTag
}
