// Package collector is the way in: what a sender's message passes through on
// its way to the log, whatever its protocol.
//
// The receivers are sub-packages, one a protocol: otlp, envoyals, and embedded,
// which is the OpenTelemetry Collector with all that it receives. Each decodes
// its own wire format straight into a [telemetry.Batch]; what they have in
// common is here:
//
//   - admission ([Intake.Admit]): bytes in flight are bounded, and who is
//     turned away is told when to come back ([Refusal]);
//   - limits ([Limits], [Fill]): how many attributes, how long a text, how absurd
//     a time. What exceeds them is cut, dropped or repaired, and counted, and the
//     rest of the message is kept;
//   - the append ([Appender]): the sender has its OK when the batch is durable;
//   - lanes ([Lane]): messages of senders that wait for no answer share batches, and queue
//     for the log.
//
// Every message that is refused, every span or log entry that is dropped and
// every field that is repaired is counted by protocol and reason (counters.go
// lists them).
package collector
