package envoyals

import (
	"bytes"
	"fmt"

	"github.com/binnacle-mesh/binnacle/collector"
	"github.com/binnacle-mesh/binnacle/collector/identity"
	"github.com/binnacle-mesh/binnacle/internal/pb"
)

// A sender is who is at the other end of a stream. It says so in its first
// message (StreamAccessLogsMessage.identifier), and what it said holds for all that
// follow.
type sender struct {
	identity.Workload
	peer    *collector.Sender // the connection, by which messages are admitted
	lane    *collector.Lane
	gateway bool
	counted bool // that the sender does not say who it is was counted

	serial   uint64 // of the batch that has the sender's resource already,
	resource uint32 // at this index
	targets  [16]target
}

// identify reads who sends msg, if the message says so. Only what identity uses is kept: an
// Envoy also lists its extensions, which may be 50 KiB.
func (s *sender) identify(msg []byte) error {
	r := pb.Over(msg)
	for r.Next() {
		if r.Tag != 1<<3|pb.Bytes {
			continue
		}
		if err := s.identifier(r.Bytes()); err != nil {
			return fmt.Errorf("identifier: %w", err)
		}
	}
	return r.Err
}

// identifier decodes a StreamAccessLogsMessage.Identifier.
func (s *sender) identifier(msg []byte) error {
	r := pb.Over(msg)
	for r.Next() {
		if r.Tag != 1<<3|pb.Bytes {
			continue
		}
		n, err := decodeNode(r.Bytes())
		if err != nil {
			return fmt.Errorf("node: %w", err)
		}
		s.Workload, s.gateway, s.serial, s.targets = n.Workload(), n.Gateway(), 0, [16]target{}
	}
	return r.Err
}

// decodeNode decodes an envoy.config.core.v3.Node as far as identity goes.
func decodeNode(msg []byte) (n identity.Node, err error) {
	r := pb.Over(msg)
	for r.Next() {
		switch r.Tag {
		case 1<<3 | pb.Bytes:
			n.ID = name(r.Bytes())
		case 2<<3 | pb.Bytes:
			n.Cluster = name(r.Bytes())
		case 3<<3 | pb.Bytes:
			err = eachField(r.Bytes(), func(key, text, nested []byte) error {
				if string(key) != "LABELS" || nested == nil {
					n.Set(string(key), name(text))
					return nil
				}
				return eachField(nested, func(key, text, _ []byte) error {
					n.SetLabel(string(key), name(text))
					return nil
				})
			})
			if err != nil {
				return n, fmt.Errorf("metadata: %w", err)
			}
		}
	}
	return n, r.Err
}

// maxName bounds every part of an identity; Kubernetes allows 253 bytes.
const maxName = 256

// name is s as a part of an identity: valid UTF-8, and not too long.
func name(s []byte) string {
	return string(bytes.ToValidUTF8(s[:min(len(s), maxName)], nil))
}

// eachField calls f for each field of a google.protobuf.Struct whose value is
// text, or a Struct itself.
func eachField(msg []byte, f func(key, text, nested []byte) error) error {
	r := pb.Over(msg)
	for r.Next() {
		if r.Tag != 1<<3|pb.Bytes {
			continue
		}
		key, value, err := mapEntry(r.Bytes())
		if err != nil {
			return err
		}
		v := pb.Over(value)
		for v.Next() {
			switch v.Tag {
			case 3<<3 | pb.Bytes:
				err = f(key, v.Bytes(), nil)
			case 5<<3 | pb.Bytes:
				err = f(key, nil, v.Bytes())
			}
			if err != nil {
				return err
			}
		}
		if v.Err != nil {
			return v.Err
		}
	}
	return r.Err
}

// mapEntry takes an entry of a map field apart, key and value both of the
// bytes wire type.
func mapEntry(msg []byte) (key, value []byte, err error) {
	r := pb.Over(msg)
	for r.Next() {
		switch r.Tag {
		case 1<<3 | pb.Bytes:
			key = r.Bytes()
		case 2<<3 | pb.Bytes:
			value = r.Bytes()
		}
	}
	return key, value, r.Err
}
