package api

import (
	"fmt"
	"net/http"
	"time"
)

const (
	// piece is what is written at a time, and within how long a client must have taken it: some 9 KiB a second.
	piece      = 256 << 10
	takeWithin = 30 * time.Second
)

// WriteAll writes an answer that is whole, piece by piece. A client that does not take a piece in time is left, so that an answer nobody
// reads does not hold memory for ever.
func WriteAll(w http.ResponseWriter, parts ...[]byte) error {
	control := http.NewResponseController(w)
	for _, b := range parts {
		for len(b) > 0 {
			n := min(len(b), piece)
			_ = control.SetWriteDeadline(time.Now().Add(takeWithin)) // what has no deadline, as in a test, is written all the same
			if _, err := w.Write(b[:n]); err != nil {
				return fmt.Errorf("write an answer: %w", err)
			}
			b = b[n:]
		}
	}
	_ = control.SetWriteDeadline(time.Time{}) // the connection is used again
	return nil
}
