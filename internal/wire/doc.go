// Package wire lets a gRPC service work on the bytes of a message instead of on generated structs.
//
// Problem: on the services that every proxied request touches (OTLP export, access logs, quota decisions) protobuf's
// generated types cost more than the work itself: a tree of small objects per message, built by reflection-driven code
// only to be walked once. A decoder written for the one message reads the same bytes in a single pass and builds nothing.
//
// How: [Codec] is a gRPC codec named "proto" that hands a [*Frame] the message's bytes as they came off the connection and
// treats any other value as the ordinary protobuf codec does, so hand-decoded and generated services live on one server:
//
//	pool := new(wire.Pool)
//	s := grpc.NewServer(grpc.ForceServerCodecV2(wire.Codec{Pool: pool}), experimental.BufferPool(pool))
//	s.RegisterService(&grpc.ServiceDesc{
//		ServiceName: "pkg.Service",
//		HandlerType: (*any)(nil),
//		Methods: []grpc.MethodDesc{{
//			MethodName: "Method",
//			Handler: wire.Unary("/pkg.Service/Method", func(ctx context.Context, s *Server, req []byte) ([]byte, error) { … }),
//		}},
//	}, server)
//
// Ownership, in three rules:
//
//   - A frame that was received owns a reference to a pooled buffer. Its bytes are valid until [Frame.Free]; whoever keeps
//     them longer takes the buffer out with [Frame.Detach] and frees it himself. [Unary] does the freeing for its handler.
//   - A frame that is sent is given away: [Codec.Marshal] takes its buffer, gRPC frees it when it is on the connection.
//   - Bytes put into a frame with [Frame.Set] belong to the frame from then on and must not be written again.
//
// Buffers come from [Pool], where the server is given one: gRPC's own clears each before it is written over.
//
// Size: gRPC refuses a message above the server's grpc.MaxRecvMsgSize before the codec sees it, so a frame is never larger
// than that; compression is undone before the codec as well, under the same bound.
//
// A [*Frame] also satisfies the protobuf codec that gRPC installs by default (at the price of a copy), so that a service
// registered on a server without [Codec] is slower, not broken.
package wire
