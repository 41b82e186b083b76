package collector

import (
	"io"
	"runtime"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"google.golang.org/grpc/encoding"
)

// maxWindow bounds the memory that a zstd stream may ask of its decoder; it
// is what RFC 8878 tells decoders to support.
const maxWindow = 8 << 20

// RegisterCompressors teaches all gRPC servers and clients of the process gzip
// and zstd, the first time that it is called. gRPC's registry is global and not safe for concurrent use, and a process may
// have several servers, as tests do.
//
// How much a message may hold once decompressed is bounded by gRPC itself: it
// reads from the decompressor no more than grpc.MaxRecvMsgSize. At most one decompressor a
// processor runs at a time: a message is there as a whole when gRPC decompresses it, so none waits for its sender.
func RegisterCompressors() { register() }

var register = sync.OnceFunc(func() { //nolint:gochecknoglobals // gRPC's registry is as global
	turns := make(chan struct{}, runtime.GOMAXPROCS(0))
	for _, c := range []*compressor{newGzip(), newZstd()} {
		c.turns = turns
		encoding.RegisterCompressor(c)
	}
})

// Gzip returns a gzip codec that pools its state. Its readers are io.Closers,
// to be closed when read. It is safe for concurrent use.
func Gzip() encoding.Compressor { return newGzip() }

func newGzip() *compressor {
	return &compressor{
		name:   "gzip",
		writer: func(w io.Writer) (writer, error) { return gzip.NewWriter(w), nil },
		reader: func(r io.Reader) (reader, error) { return gzip.NewReader(r) },
	}
}

// Zstd is the same for zstd. Its decoders start no goroutines, and their memory
// is bounded whatever a stream's header says.
func Zstd() encoding.Compressor { return newZstd() }

func newZstd() *compressor {
	return &compressor{
		name: "zstd",
		writer: func(w io.Writer) (writer, error) {
			return zstd.NewWriter(w, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(1<<20))
		},
		reader: func(r io.Reader) (reader, error) {
			return zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderLowmem(true))
		},
	}
}

type (
	writer interface {
		io.WriteCloser
		Reset(w io.Writer)
	}
	reader interface {
		io.Reader
		Reset(r io.Reader) error
	}
)

// compressor is one of gRPC's compressors over a pool of writers and readers.
type compressor struct {
	name    string
	writer  func(io.Writer) (writer, error)
	reader  func(io.Reader) (reader, error)
	writers sync.Pool
	readers sync.Pool
	turns   chan struct{} // holds as many as may decompress at once; nil is any number
}

// Name is the encoding's name on the wire.
func (c *compressor) Name() string { return c.name }

// Compress returns a writer that compresses into w until it is closed.
func (c *compressor) Compress(w io.Writer) (io.WriteCloser, error) {
	if z, ok := c.writers.Get().(writer); ok {
		z.Reset(w)
		return &pooledWriter{z, c}, nil
	}
	z, err := c.writer(w)
	if err != nil {
		return nil, err
	}
	return &pooledWriter{z, c}, nil
}

// Decompress returns a reader of what r holds, decompressed. gRPC closes it.
func (c *compressor) Decompress(r io.Reader) (io.Reader, error) {
	if c.turns == nil {
		return c.decompress(r)
	}
	c.turns <- struct{}{}
	z, err := c.decompress(r)
	if err != nil {
		<-c.turns
	}
	return z, err
}

func (c *compressor) decompress(r io.Reader) (io.Reader, error) {
	if z, ok := c.readers.Get().(reader); ok {
		if err := z.Reset(r); err != nil {
			c.readers.Put(z)
			return nil, err
		}
		return &pooledReader{z, c}, nil
	}
	z, err := c.reader(r)
	if err != nil {
		return nil, err
	}
	return &pooledReader{z, c}, nil
}

type pooledWriter struct {
	writer
	c *compressor
}

// Close ends the stream and gives the writer back.
func (w *pooledWriter) Close() error {
	err := w.writer.Close()
	w.c.writers.Put(w.writer)
	return err
}

type pooledReader struct {
	reader
	c *compressor
}

// Close gives the reader back, whether or not it was read to its end.
func (r *pooledReader) Close() error {
	if r.reader != nil {
		r.c.readers.Put(r.reader)
		r.reader = nil
		if r.c.turns != nil {
			<-r.c.turns
		}
	}
	return nil
}
