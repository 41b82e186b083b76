package wire

import (
	"fmt"

	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/protoadapt"
)

// Codec passes a *Frame through untouched and encodes any protobuf message as usual. It goes into a server with
// grpc.ForceServerCodecV2, or into a client with grpc.ForceCodecV2; it is never registered globally, since that would change
// every gRPC client and server of the process. It is safe for concurrent use.
type Codec struct {
	// Pool lends the buffers of messages that came in several pieces; nil is gRPC's own.
	Pool mem.BufferPool
}

var _ encoding.CodecV2 = Codec{}

// Name is "proto", so that the content type on the wire stays application/grpc+proto.
func (Codec) Name() string { return "proto" }

// Marshal encodes v. A *Frame gives its buffer away and is empty afterwards.
func (Codec) Marshal(v any) (mem.BufferSlice, error) {
	if f, ok := v.(*Frame); ok {
		b := f.Detach()
		if b == nil {
			return nil, nil
		}
		return mem.BufferSlice{b}, nil
	}
	m := message(v)
	if m == nil {
		return nil, fmt.Errorf("wire: encode %T: neither a frame nor a protobuf message", v)
	}
	b, err := proto.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("wire: encode %T: %w", v, err)
	}
	return mem.BufferSlice{mem.SliceBuffer(b)}, nil
}

// Unmarshal decodes data into v. A *Frame takes a reference to the bytes, which its owner must free.
func (c Codec) Unmarshal(data mem.BufferSlice, v any) error {
	pool := c.Pool
	if pool == nil {
		pool = mem.DefaultBufferPool()
	}
	if f, ok := v.(*Frame); ok {
		f.take(data, pool)
		return nil
	}
	m := message(v)
	if m == nil {
		return fmt.Errorf("wire: decode into %T: neither a frame nor a protobuf message", v)
	}
	b := data.MaterializeToBuffer(pool)
	defer b.Free()
	if err := proto.Unmarshal(b.ReadOnlyData(), m); err != nil {
		return fmt.Errorf("wire: decode into %T: %w", v, err)
	}
	return nil
}

func message(v any) proto.Message {
	switch m := v.(type) {
	case protoadapt.MessageV2:
		return m
	case protoadapt.MessageV1:
		return protoadapt.MessageV2Of(m)
	}
	return nil
}
