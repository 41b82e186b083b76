package envoyals

import (
	"fmt"

	"github.com/binnacle-mesh/binnacle/collector"
	"github.com/binnacle-mesh/binnacle/internal/pb"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

// decoder decodes one StreamAccessLogsMessage at a time; it is reused, and
// belongs to one goroutine.
type decoder struct {
	*collector.Fill
	entry entry
	last  [numFields]lastText
}

// The fields that have the same text in most entries of a message; see usualText.
const (
	fieldRoute = iota
	fieldCluster
	fieldAuthority
	fieldUpstream
	fieldRemote
	fieldUserAgent
	numFields
)

// lastText is the text that a field had last in this message.
type lastText struct {
	text []byte
	id   telemetry.StrID
}

// usualText is Text for a field that mostly has the same text as in the entry before, which
// saves looking it up.
func (d *decoder) usualText(field int, s []byte) telemetry.StrID {
	l := &d.last[field]
	if l.id != 0 && string(l.text) == string(s) {
		return l.id
	}
	id := d.Text(s)
	if string(d.Batch.Bytes(id)) == string(s) { // what was repaired is counted each time
		*l = lastText{s, id}
	}
	return id
}

// decode decodes a StreamAccessLogsMessage, whose sender is known.
func (d *decoder) decode(from *sender, msg []byte) error {
	if b := d.Batch; from.serial != d.Serial {
		from.serial, from.resource = d.Serial, uint32(len(b.Resources))
		b.Resources = append(b.Resources, telemetry.Resource{Identity: from.Intern(b)})
	}
	if from.Service == "" && !from.counted {
		d.Repair(collector.RepairIdentity)
		from.counted = true
	}
	d.last = [numFields]lastText{}
	r := pb.Over(msg)
	for r.Next() {
		var err error
		switch r.Tag {
		case 2<<3 | pb.Bytes:
			err = d.entries(from, r.Bytes(), (*entry).http)
		case 3<<3 | pb.Bytes:
			err = d.entries(from, r.Bytes(), (*entry).tcp)
		}
		if err != nil {
			return err
		}
	}
	return r.Err
}

// entries decodes an HTTPAccessLogEntries or TCPAccessLogEntries.
func (d *decoder) entries(from *sender, msg []byte, decode func(*entry, []byte) error) error {
	r := pb.Over(msg)
	for i := 0; r.Next(); i++ {
		if r.Tag != 1<<3|pb.Bytes {
			continue
		}
		if d.Requests() >= d.Limits.Records {
			d.Drop(collector.DropRecords, 0)
			continue
		}
		d.entry.reset()
		if err := decode(&d.entry, r.Bytes()); err != nil {
			return fmt.Errorf("log_entry[%d]: %w", i, err)
		}
		if err := d.request(from, &d.entry); err != nil {
			return fmt.Errorf("log_entry[%d]: %w", i, err)
		}
	}
	return r.Err
}

// countEntries is how many log entries a message holds that will not be decoded.
func countEntries(msg []byte) (n int) {
	for r := pb.Over(msg); r.Next(); {
		if r.Tag != 2<<3|pb.Bytes && r.Tag != 3<<3|pb.Bytes {
			continue
		}
		for e := pb.Over(r.Bytes()); e.Next(); {
			n++
		}
	}
	return n
}
