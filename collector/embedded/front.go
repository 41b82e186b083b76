package embedded

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/config/confighttp"
	"go.opentelemetry.io/collector/receiver/otlpreceiver"
	"google.golang.org/grpc"

	"github.com/binnacle-mesh/binnacle/collector"
)

// The problem: the receivers of the OpenTelemetry Collector read the whole of a body before they look at it, for as long as it takes, and
// nobody counts what they hold. What bounds them must stand in front of all that they do, decompression included, and of their listeners;
// their settings have a place for neither.
//
// So Zipkin's and Jaeger's ports are opened here (receivers.go), with the settings that the Collector has for them, and their own handlers are called
// when a body is there, counted and decompressed.
//
// Not chosen: the Collector's middleware, which comes after decompression and sees no connection; a proxy before the ports, which would
// hide who sends.

// A Front is what stands before the ports that receivers open, by the port's name ([Listener].Name). The zero Front bounds nothing.
type Front struct {
	// Bodies reads the bodies of HTTP requests; nil leaves that to the receivers.
	Bodies *collector.Bodies
	// Listen wraps the listener of a port; grpc says that its connections speak gRPC in the clear.
	Listen func(port string, l net.Listener, grpc bool) net.Listener
	// HTTP wraps what answers on an HTTP port, so that it is the first to see a request, before its body is read.
	HTTP func(port string, next http.Handler) http.Handler
	// GRPC are options of gRPC ports. They take effect over the receiver's settings.
	GRPC []grpc.ServerOption
	// BodyTimeout and MaxBody are for an otlp receiver of the user's, whose ports are its own: what its settings leave open. 0 leaves it.
	BodyTimeout time.Duration
	MaxBody     int64
}

// bound closes what the settings of otlp receivers leave open.
func (f *Front) bound(receivers map[component.ID]component.Config) {
	for _, c := range receivers {
		o, ok := c.(*otlpreceiver.Config)
		if !ok {
			continue
		}
		if h := o.Protocols.HTTP.Get(); h != nil {
			if h.ServerConfig.ReadTimeout == 0 {
				h.ServerConfig.ReadTimeout = f.BodyTimeout
			}
			if h.ServerConfig.MaxRequestBodySize == 0 {
				h.ServerConfig.MaxRequestBodySize = f.MaxBody
			}
		}
		if g := o.Protocols.GRPC.Get(); g != nil && g.MaxConcurrentStreams == 0 {
			g.MaxConcurrentStreams = otlpStreams
		}
	}
}

// otlpStreams is how many streams a connection to an otlp receiver of the user's may have, each with a message of up to 4 MiB unless set.
const otlpStreams = 32

// The limits of an HTTP port where its settings have none.
const (
	headerTimeout = 5 * time.Second
	idleTimeout   = 2 * time.Minute
	headerBytes   = 64 << 10
)

func (f *Front) listen(port string, l net.Listener, grpc bool) net.Listener {
	if f.Listen == nil {
		return l
	}
	return f.Listen(port, l, grpc)
}

// An httpPort is a receiver's open HTTP port.
type httpPort struct {
	server *http.Server
	done   sync.WaitGroup
}

// open opens a port of a receiver's settings, where handler answers.
func (f *Front) open(ctx context.Context, port string, cfg *confighttp.ServerConfig, host component.Host, set component.TelemetrySettings, handler http.Handler) (*httpPort, error) {
	s, err := cfg.ToServer(ctx, host.GetExtensions(), set, handler)
	if err != nil {
		return nil, err
	}
	l, err := cfg.ToListener(ctx)
	if err != nil {
		return nil, err
	}
	s.Handler = f.bounded(s.Handler)
	if f.HTTP != nil {
		s.Handler = f.HTTP(port, s.Handler)
	}
	s.MaxHeaderBytes = headerBytes
	s.ConnContext = collector.WithSender
	if s.ReadHeaderTimeout <= 0 {
		s.ReadHeaderTimeout = headerTimeout
	}
	if s.IdleTimeout <= 0 {
		s.IdleTimeout = idleTimeout
	}
	p := &httpPort{server: s}
	l = f.listen(port, l, false)
	p.done.Go(func() {
		if err := s.Serve(l); err != nil && !errors.Is(err, http.ErrServerClosed) {
			componentstatus.ReportStatus(host, componentstatus.NewFatalErrorEvent(err))
		}
	})
	return p, nil
}

// close ends what is under way when ctx does.
func (p *httpPort) close(ctx context.Context) error {
	if p == nil {
		return nil
	}
	err := p.server.Shutdown(ctx)
	if err != nil {
		err = errors.Join(err, p.server.Close())
	}
	p.done.Wait()
	return err
}

// bounded is next when the body is there, decompressed, and what it will become is admitted. What is refused is told in plain text, with
// the time to come back.
func (f *Front) bounded(next http.Handler) http.Handler {
	if f.Bodies == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		msg, body, refusal := f.Bodies.Read(w, r)
		defer f.Bodies.Release(body)
		if refusal == nil {
			refusal = f.Bodies.Expand(body, growth*len(msg))
		}
		if refusal != nil {
			refuse(w, refusal)
			return
		}
		r.Header.Del("Content-Encoding")
		r.ContentLength, r.Body = int64(len(msg)), io.NopCloser(bytes.NewReader(msg))
		var told fate
		next.ServeHTTP(&teller{ResponseWriter: w, fate: &told}, r.WithContext(context.WithValue(r.Context(), fateKey{}, &told)))
	})
}

// growth is how many bytes of the account a receiver's own model of a message takes for each of the message's, while it is made and
// written. It takes more; but it does so for a moment.
const growth = 2

func refuse(w http.ResponseWriter, refusal *collector.Refusal) {
	if refusal.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(refusal.RetryAfter.Seconds()))))
	}
	if refusal.Reason == collector.Slow || refusal.Reason == collector.TooLarge {
		w.Header().Set("Connection", "close") // the rest of the body is not worth reading
	}
	http.Error(w, refusal.Error(), refusal.HTTPStatus())
}

// A fate is what the exporter says of a request's traces, for the receiver's answer: receivers know "refused" alone, and say 500.
type fate struct {
	mu      sync.Mutex
	refusal *collector.Refusal
}

type fateKey struct{}

// tell leaves word of a refusal for the request's sender, if the context is still that of a request.
func tell(ctx context.Context, refusal *collector.Refusal) {
	if f, ok := ctx.Value(fateKey{}).(*fate); ok {
		f.mu.Lock()
		f.refusal = refusal
		f.mu.Unlock()
	}
}

// A teller puts what the exporter said in the place of 500.
type teller struct {
	http.ResponseWriter
	fate *fate
	own  bool // the answer is ours, and what follows is not to be written
}

// Unwrap is for http.ResponseController.
func (t *teller) Unwrap() http.ResponseWriter { return t.ResponseWriter }

// WriteHeader writes the status, or that of the refusal.
func (t *teller) WriteHeader(code int) {
	t.fate.mu.Lock()
	refusal := t.fate.refusal
	t.fate.mu.Unlock()
	if code != http.StatusInternalServerError || refusal == nil {
		t.ResponseWriter.WriteHeader(code)
		return
	}
	t.own = true
	refuse(t.ResponseWriter, refusal)
}

// Write writes the receiver's answer, unless there is another.
func (t *teller) Write(b []byte) (int, error) {
	if t.own {
		return len(b), nil
	}
	return t.ResponseWriter.Write(b)
}

// ContentTypes are what Zipkin's and Jaeger's senders call what they send over HTTP. The receivers take other content for one of these, or say 400.
func ContentTypes() []string {
	return []string{"application/json", "application/x-protobuf", "application/x-thrift", "application/vnd.apache.thrift.binary"}
}
