package wire

import (
	"google.golang.org/grpc/mem"
)

// Frame is one gRPC message as its bytes. The zero value is an empty message. A frame is not safe for concurrent use.
type Frame struct {
	buf mem.Buffer // nil when the frame holds nothing; else the frame owns one reference
}

// Bytes returns the message's bytes, valid until Free or Detach and not to be written to.
func (f *Frame) Bytes() []byte {
	if f.buf == nil {
		return nil
	}
	return f.buf.ReadOnlyData()
}

// Set makes b the frame's message, freeing what it held. b belongs to the frame from now on: gRPC reads it after the handler
// has returned, so it must not be reused. It is left to the garbage collector.
func (f *Frame) Set(b []byte) {
	f.Free()
	if len(b) > 0 {
		f.buf = mem.SliceBuffer(b)
	}
}

// Free gives the buffer back to its pool. The frame is then empty and may be used again; freeing twice is harmless.
func (f *Frame) Free() {
	if f.buf != nil {
		f.buf.Free()
		f.buf = nil
	}
}

// Detach takes the buffer out of the frame, for a caller that keeps the bytes beyond the call. The caller frees the buffer
// (Buffer.Free) once nothing points into it. It is nil for an empty message.
func (f *Frame) Detach() mem.Buffer {
	b := f.buf
	f.buf = nil
	return b
}

// take makes the frame hold the message that gRPC received as data, in one piece. A message that came in one buffer (any up
// to 16 KiB) is referenced; a longer one is joined into one pooled buffer.
func (f *Frame) take(data mem.BufferSlice, pool mem.BufferPool) {
	f.Free()
	if len(data) > 0 {
		f.buf = data.MaterializeToBuffer(pool)
	}
}

// The methods below make *Frame acceptable to the protobuf codec that gRPC installs by default; it recognises a message of the
// first protobuf API that encodes itself.

// Reset empties the frame.
func (f *Frame) Reset() { f.Free() }

// String says what a frame is, without its content, which may be private.
func (f *Frame) String() string { return "wire.Frame" }

// ProtoMessage marks the frame as a protobuf message.
func (*Frame) ProtoMessage() {}

// Marshal returns a copy of the message's bytes.
func (f *Frame) Marshal() ([]byte, error) { return append([]byte(nil), f.Bytes()...), nil }

// Unmarshal makes the frame hold a copy of b.
func (f *Frame) Unmarshal(b []byte) error {
	f.Set(append([]byte(nil), b...))
	return nil
}
