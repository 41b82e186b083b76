package embedded

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net/http"
)

// The problem: a list in Thrift's binary encoding begins with its length, and Thrift's decoder makes room for as many elements before it
// reads one. Twenty bytes that announce a hundred million spans take 800 MB.
//
// So a body is walked before it is decoded: each length is held against what is left of the body.

// The types of Thrift's binary encoding.
const (
	thriftStop   = 0
	thriftBool   = 2
	thriftByte   = 3
	thriftDouble = 4
	thriftI16    = 6
	thriftI32    = 8
	thriftI64    = 10
	thriftString = 11
	thriftStruct = 12
	thriftMap    = 13
	thriftSet    = 14
	thriftList   = 15
)

// thriftDepth is how deep a body may nest; spans nest 4 deep.
const thriftDepth = 32

var errThrift = errors.New("the body is no Thrift in the binary encoding: it announces more than it holds, or nests too deep")

// thriftSound says whether b is one value of the type and what follows does not matter. Nothing is decoded.
func thriftSound(b []byte, kind byte) error {
	if _, ok := thriftSkip(b, kind, thriftDepth); !ok {
		return errThrift
	}
	return nil
}

// thriftLeast is how many bytes a value of a type takes at least, 0 for what is no type.
func thriftLeast(kind byte) int {
	switch kind {
	case thriftBool, thriftByte, thriftStruct:
		return 1
	case thriftI16:
		return 2
	case thriftI32, thriftString:
		return 4
	case thriftSet, thriftList:
		return 5
	case thriftMap:
		return 6
	case thriftI64, thriftDouble:
		return 8
	}
	return 0
}

// thriftSkip passes over a value.
func thriftSkip(b []byte, kind byte, depth int) (rest []byte, ok bool) {
	least := thriftLeast(kind)
	if least == 0 || len(b) < least || depth == 0 {
		return nil, false
	}
	switch kind {
	case thriftString:
		return thriftBytes(b)
	case thriftStruct:
		for len(b) > 0 && b[0] != thriftStop {
			if len(b) < 3 {
				return nil, false
			}
			if b, ok = thriftSkip(b[3:], b[0], depth-1); !ok {
				return nil, false
			}
		}
		if len(b) == 0 {
			return nil, false
		}
		return b[1:], true
	case thriftSet, thriftList:
		return thriftElements(b[1:], depth, b[0])
	case thriftMap:
		return thriftElements(b[2:], depth, b[0], b[1])
	}
	return b[least:], true
}

func thriftBytes(b []byte) (rest []byte, ok bool) {
	n := binary.BigEndian.Uint32(b)
	if b = b[4:]; uint64(n) > uint64(len(b)) {
		return nil, false
	}
	return b[n:], true
}

// thriftElements passes over a number and as many elements, each of one value of each kind.
func thriftElements(b []byte, depth int, kinds ...byte) (rest []byte, ok bool) {
	n := binary.BigEndian.Uint32(b)
	b = b[4:]
	if n == 0 {
		return b, true // of no type, it may be
	}
	least := 0
	for _, k := range kinds {
		least += thriftLeast(k)
	}
	if uint64(n)*uint64(least) > uint64(len(b)) {
		return nil, false
	}
	for range n {
		for _, k := range kinds {
			if b, ok = thriftSkip(b, k, depth-1); !ok {
				return nil, false
			}
		}
	}
	return b, true
}

// soundThrift is next for bodies that are a value of the type; what is not by applies, next gets as it is.
func soundThrift(next http.Handler, kind byte, applies func(*http.Request) bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if applies(r) {
			msg, err := io.ReadAll(r.Body)
			if err == nil {
				err = thriftSound(msg, kind)
			}
			if err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			r.Body = io.NopCloser(bytes.NewReader(msg))
		}
		next.ServeHTTP(w, r)
	})
}
