// Package pace says how fast the body of an HTTP request must come.
//
// The problem: a time for the whole of a body cuts off who sends much over a slow line, and lets who sends nothing hold what it was given
// for all of that time.
//
// The rule: a credit of time, Grace at first and at most. Time spends it, and each byte earns what it may take at Rate; when it is spent the body
// is not waited for any longer. So the rate is asked for over any stretch as long as Grace, and not on the average of all that came, by which who sent
// much at once could rest for long. Most bounds it in all.
//
// Not chosen: a look at each body at intervals, which needs a timer and a list of bodies.
package pace

import (
	"errors"
	"io"
	"time"
)

// A Pace is how fast a body must come. A zero Grace asks for nothing.
type Pace struct {
	Grace time.Duration // for which nothing need come
	Rate  int64         // bytes a second beyond that; 0: all must have come within Grace
	Most  time.Duration // for all of it; less than Grace, 0 included, is Grace
}

// A Deadliner ends reads when a moment has passed; *http.ResponseController is one.
type Deadliner interface{ SetReadDeadline(t time.Time) error }

// A Body is a request's body that must come at a pace: where it does not, Read says os.ErrDeadlineExceeded, if reads of the connection
// do. It is for one goroutine.
type Body struct {
	io.ReadCloser
	pace  Pace
	conn  Deadliner
	last  time.Time // when it must have come in any case
	until time.Time // when the credit is spent
	set   time.Time // the connection's deadline, which is moved now and then
	over  bool
}

// Follow has a body come at the pace from now on.
func (p Pace) Follow(body io.ReadCloser, conn Deadliner) *Body {
	b := &Body{ReadCloser: body, pace: p, conn: conn}
	if p.Grace > 0 {
		now := time.Now()
		b.last, b.until = now.Add(max(p.Most, p.Grace)), now.Add(p.Grace)
		b.move()
	}
	return b
}

// Read reads the body.
func (b *Body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	switch {
	case errors.Is(err, io.EOF):
		b.Came()
	case n > 0 && b.pace.Grace > 0 && b.pace.Rate > 0 && !b.over:
		b.earn(n)
	}
	return n, err
}

func (b *Body) earn(n int) {
	earned := time.Duration(float64(n) / float64(b.pace.Rate) * float64(time.Second))
	for _, most := range []time.Time{time.Now().Add(b.pace.Grace), b.last} {
		if left := most.Sub(b.until); earned > left {
			earned = max(left, 0)
		}
	}
	b.until = b.until.Add(earned)
	if b.until.Sub(b.set) > b.pace.Grace/16 {
		b.move()
	}
}

func (b *Body) move() {
	b.set = b.until
	_ = b.conn.SetReadDeadline(b.until) // a server that knows no deadline has its own way to end a read
}

// Came takes the deadline away: net/http goes on reading while the handler works, to see the client leave, and a deadline that passed
// then would cancel the request.
func (b *Body) Came() {
	if !b.over {
		b.over = true
		_ = b.conn.SetReadDeadline(time.Time{})
	}
}

// Over says whether the body has come, or is not followed any more.
func (b *Body) Over() bool { return b.over }
