// Package collector receives telemetry: it is what a sender's message passes through on
// its way to the log, whatever its protocol.
//
// The receivers are sub-packages, one a protocol: otlp, envoyals, and embedded,
// which is the OpenTelemetry Collector with all that it receives. Each decodes
// its own wire format straight into a [telemetry.Batch]; what they have in
// common is here:
//
//   - admission ([Intake.Admit]): bytes in flight are bounded, and who is
//     turned away is told when to come back ([Refusal]);
//   - limits ([Limits], [Fill]): how many attributes a span may have, how long a text may
//     be, how far in the future a time may lie. What exceeds them is cut, dropped or
//     repaired, and counted, and the rest of the message is kept;
//   - the append ([Appender]): the sender has its OK when the batch is durable;
//   - lanes ([Lane]): access logs, whose senders wait for no answer, are gathered into
//     batches that several streams share, and these wait in a queue for the log.
//
// Every message that is refused ([Reason]), every span or log entry that is dropped
// ([Drop]) or left out by design ([Omission]), and every field that is repaired ([Repair])
// is counted by protocol and reason.
package collector
