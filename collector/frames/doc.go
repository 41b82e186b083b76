// Package frames counts gRPC messages from their first byte.
//
// Problem: gRPC lets a stream send as much as its message announces, up to the greatest that is taken, and says nothing of it until
// the message is whole. A client that announces much, on many streams, and never ends, holds gigabytes that no limit sees; one that sends a byte
// a frame, a hundred times what it sends.
//
// Invariants:
//
//   - what a connection holds of messages that have not all come is counted in the account of messages in flight, each frame with what
//     it costs and not what it carries, and given back when the message is whole (then the receiver admits it), its stream ends, or
//     the connection does;
//   - a connection may hold as much as is free ([collector.Sender.Hold]): whoever holds most is refused first;
//   - a message that has begun is whole within the read timeout; and so is the first of a stream, from the stream's start. A stream that
//     is between two messages may stay so for ever, as those of access logs do;
//   - nothing that comes or goes is changed, and a message that came in one piece costs no lock and no memory.
//
// How: [Watch.Listen] wraps the connections of a port. What is read is followed frame by frame (HTTP/2, RFC 9113): only frame headers and
// the five bytes before each message are looked at. What is written is followed as well, for the streams that the server itself ends. Who
// takes too much, or too long, loses its connection; gRPC then lets go of all that it held, and clients come back by their own backoff.
//
// Not chosen: gRPC's own windows, which bound what is unread and not what is read of a message; its statistics handler, which is told when
// all is over; resetting the one stream, which is gRPC's to do and cannot be asked of it from outside.
package frames
