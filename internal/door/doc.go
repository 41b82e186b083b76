// Package door is what all ports have in common before anything is read: who may come in, how many, and for how long.
//
// Problem: a port that senders and proxies talk to is also within reach of any page that a browser shows on the same machine, and
// of whoever opens connections and then does nothing with them. Each port that has rules of its own has a hole of its own.
//
// Invariants:
//
//   - no page of another site makes the server keep, change or compute anything: its requests are told apart by what browsers
//     say of every request (rules.go);
//   - connections are bounded, in all and from one address, and each is counted as memory for as long as it is open (listen.go);
//   - a request's headers and its body have to come in time, and an answer has to be read: whoever does neither is let go (conn.go,
//     receive.go).
//
// How: [Door.Listen] wraps a port's listener, whatever is spoken there; [Door.Receive] wraps the handler of an HTTP port that takes
// data; the web port asks [Rules.Web] itself, since it tells its errors in the tongue of who asks.
//
// Not chosen: CORS alone. It keeps a page from reading answers, and lets it send whatever a form can send.
package door
