package quota

import (
	"crypto/rand"
	"encoding/binary"

	"github.com/dchest/siphash"

	"github.com/binnacle-mesh/binnacle/quota/rule"
	"github.com/binnacle-mesh/binnacle/quota/window"
)

// Secret is the key of the function that makes counters' names of descriptors (SipHash-2-4, 128 bits). As long as it is secret,
// no client can make up a descriptor whose counter is another's. Processes that share counters need the same one.
type Secret struct{ k0, k1 uint64 }

// NewSecret makes a secret of 16 bytes that nobody can guess.
func NewSecret(b [16]byte) Secret {
	return Secret{binary.LittleEndian.Uint64(b[:8]), binary.LittleEndian.Uint64(b[8:])}
}

// RandomSecret is for a process that shares its counters with no other.
func RandomSecret() Secret {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return NewSecret(b)
}

// key names the counter of what b describes.
func (s *Secret) key(b []byte) window.Key {
	hi, lo := siphash.Hash128(s.k0, s.k1, b)
	return window.Key{Hi: hi, Lo: lo}
}

// appendKey writes what tells one counter from another: the domain, the entries, the window's length. Lengths stand before texts,
// so that no two things look alike.
func appendKey(dst, domain []byte, entries []rule.Entry, patterns []string, length uint32) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, length)
	dst = appendText(dst, domain)
	for i := range entries {
		dst = appendText(dst, entries[i].Key)
		if i < len(patterns) && patterns[i] != "" {
			dst = binary.AppendUvarint(dst, uint64(len(patterns[i])))
			dst = append(dst, patterns[i]...)
			continue
		}
		dst = appendText(dst, entries[i].Value)
	}
	return dst
}

func appendText(dst, s []byte) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

// cutText undoes appendText.
func cutText(b []byte) (text, rest []byte) {
	n, k := binary.Uvarint(b)
	return b[k : k+int(n)], b[k+int(n):]
}
