package checkpoint

import "io"

// A Buffer holds a section while it is being written: in pieces, since one run of bytes that grows is copied
// again and again, and a graph under full load is some ten megabytes. The zero Buffer is empty.
type Buffer struct {
	pieces [][]byte
	size   int
}

const pieceBytes = 1 << 20

// Write implements io.Writer. It never fails.
func (b *Buffer) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		last := len(b.pieces) - 1
		if last < 0 || len(b.pieces[last]) == cap(b.pieces[last]) {
			b.pieces = append(b.pieces, make([]byte, 0, max(512, min(pieceBytes, len(p)+b.size))))
			last++
		}
		piece := &b.pieces[last]
		k := min(len(p), cap(*piece)-len(*piece))
		*piece = append(*piece, p[:k]...)
		p = p[k:]
	}
	b.size += n
	return n, nil
}

// Len is how many bytes were written.
func (b *Buffer) Len() int { return b.size }

// WriteTo implements io.WriterTo. It leaves the content as it is.
func (b *Buffer) WriteTo(w io.Writer) (n int64, err error) {
	for _, p := range b.pieces {
		k, err := w.Write(p)
		n += int64(k)
		if err != nil {
			return n, err
		}
	}
	return n, nil
}
