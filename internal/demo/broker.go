package demo

import (
	"net/http"
	"strconv"
	"sync/atomic"

	commonv1 "go.opentelemetry.io/proto/otlp/common/v1"
)

// broker is a message queue without a proxy or a voice: producers and consumers tell of it.
type broker struct {
	queue
	messages  chan message
	partition atomic.Int64
}

// message carries the producer's context in its headers, as Kafka's do.
type message struct {
	context spanContext
	headers http.Header
}

const (
	queueLength = 256 // messages that wait; a producer that meets a full queue is told so
	consumers   = 4   // a consuming workload works on so many messages at once
)

func newBroker(q queue) *broker {
	return &broker{queue: q, messages: make(chan message, queueLength)}
}

// offer reports whether the message was taken.
func (b *broker) offer(m message) bool {
	select {
	case b.messages <- m:
		return true
	default:
		return false
	}
}

// attributes are what producers and consumers say of the queue, by OpenTelemetry's conventions for messaging.
func (b *broker) attributes() []*commonv1.KeyValue {
	return []*commonv1.KeyValue{
		text("messaging.system", b.system),
		text("messaging.destination.name", b.name),
		text("messaging.destination.partition.id", strconv.FormatInt(b.partition.Add(1)%8, 10)),
		text("server.address", b.address),
	}
}
