package quota

import (
	"github.com/binnacle-mesh/binnacle/quota/rule"
)

// maxLabel bounds the name under which a key is shown, in bytes.
const maxLabel = 256

// notice remembers for people what became of hit k: keys that are refused, keys that use much, services that are throttled. On the
// way of a request that passes it usually costs two comparisons.
func (e *Engine) notice(g *generation, req *Request, d *Decision, k int) {
	c, hit, r := &d.counts[k], &d.hits[k], &d.results[k]
	switch {
	case r.Full:
		e.fullHits.Add(1)
	case r.Shared:
		e.sharedHits.Add(1)
	}
	if r.Over {
		e.noticeRefused(g, req, d, k)
	}
	busiest := &c.stats.busiest
	if r.After != r.Before && !r.Shared && !hit.Refund && busiest.Worth(r.Before, r.After, hit.Limit, r.Start) {
		busiest.Lock()
		if it, fresh := busiest.Offer(hit.Key, r.After, hit.Limit, r.Start); fresh {
			it.Label = appendLabel(it.Label[:0], req.Descriptors[c.descriptor].Entries, d.matches[c.descriptor].Patterns)
		}
		busiest.Unlock()
	}
}

// noticeRefused remembers the key of hit k as refused, and between which services, unless it passes in shadow mode.
func (e *Engine) noticeRefused(g *generation, req *Request, d *Decision, k int) {
	c, hit, t := &d.counts[k], &d.hits[k], seconds(d.Now)
	limited := c.stats.limited
	limited.Lock()
	if it, fresh := limited.Add(hit.Key, 1, t); fresh {
		it.Label = appendLabel(it.Label[:0], req.Descriptors[c.descriptor].Entries, d.matches[c.descriptor].Patterns)
		it.Tag = uint32(hit.Limit)
	}
	limited.Unlock()
	if d.Statuses[c.descriptor].Over && !g.cfg.ShadowMode {
		e.noticeEdge(g, req, d, c.descriptor, t)
	}
}

// noticeEdge remembers between which services a request was refused, where its descriptors say: the refused one first, else any
// other of the request.
func (e *Engine) noticeEdge(g *generation, req *Request, d *Decision, i int, t float64) {
	source := side(req, i, g.cfg.SourceKeys)
	destination := side(req, i, g.cfg.DestinationKeys)
	if source == nil && destination == nil {
		return
	}
	id := d.Statuses[i].Rule
	d.key = appendText(d.key[:0], source)
	d.key = appendText(d.key, destination)
	if id != nil {
		d.key = append(d.key, id.ID...)
	} else {
		d.key = append(append(d.key, req.Domain...), overrideID("")...)
	}
	k := e.secret.key(d.key)
	e.edges.Lock()
	if it, fresh := e.edges.Add(k, 1, t); fresh {
		it.Label = append(it.Label[:0], d.key...)
	}
	e.edges.Unlock()
}

func side(req *Request, first int, keys []string) []byte {
	if v := valueOf(req.Descriptors[first].Entries, keys); v != nil {
		return v
	}
	for i := range req.Descriptors {
		if v := valueOf(req.Descriptors[i].Entries, keys); v != nil {
			return v
		}
	}
	return nil
}

func valueOf(entries []rule.Entry, keys []string) []byte {
	for i := range entries {
		for _, k := range keys {
			if string(entries[i].Key) == k && len(entries[i].Value) > 0 {
				return entries[i].Value[:min(len(entries[i].Value), maxLabel)]
			}
		}
	}
	return nil
}

// appendLabel writes a descriptor as "client_id=mobile, path=/checkout", cut where it gets too long.
func appendLabel(dst []byte, entries []rule.Entry, patterns []string) []byte {
	for i := range entries {
		if i > 0 {
			dst = append(dst, ", "...)
		}
		dst = append(dst, entries[i].Key...)
		if i < len(patterns) && patterns[i] != "" {
			dst = append(append(dst, '='), patterns[i]...)
		} else if len(entries[i].Value) > 0 {
			dst = append(append(dst, '='), entries[i].Value...)
		}
		if len(dst) > maxLabel {
			return append(dst[:maxLabel], "…"...)
		}
	}
	return dst
}
