package aggregator

import "unicode/utf8"

// Operation names.
//
// The problem: a span's name should be of low cardinality, and often is not:
// proxies and older instrumentation put the raw path into it. Every id in a path
// would be a series of its own.
//
// The rule, in order, for each word of the name (words end at a slash, blank,
// colon, comma, parenthesis, = or &; what follows a question mark is cut off):
//
//  1. digits alone, or digits in groups (dates, versions of three), is {id};
//  2. a UUID, or 8 or more hex digits of which one is a decimal digit, is {id};
//  3. 16 or more letters and digits that change class (upper, lower, digit) as
//     often as random text does, is {id}: tokens in base64;
//  4. in a word of parts joined by - _ . ~ each part of 4 or more digits, or
//     which 2 or 3 describe, is {id}: order-12345 is order-{id}.
//
// It looks at one name at a time, so that the result is the same whatever came
// before. Learning templates from the names seen (as DRAIN does) finds more, but
// the same span would count under another name after a restart.
const (
	placeholder = "{id}"
	other       = "{other}" // what is beyond a service's limit of operations
	maxName     = 160       // bytes
)

// appendOperation appends name with its ids folded to dst.
func appendOperation(dst []byte, name string) []byte {
	start := len(dst)
	for i := 0; i < len(name) && len(dst)-start < maxName; {
		c := name[i]
		if c == '?' {
			break
		}
		if letters[c] == wordEnd {
			dst = append(dst, c)
			i++
			continue
		}
		j, digits := i, false
		for ; j < len(name) && letters[name[j]] != wordEnd; j++ {
			digits = digits || letters[name[j]] == digit
		}
		if w := name[i:j]; digits || len(w) >= minToken {
			dst = appendWord(dst, w)
		} else {
			dst = append(dst, w...) // most words
		}
		i = j
	}
	if len(dst)-start > maxName {
		end := start + maxName
		for end > start && !utf8.RuneStart(dst[end]) {
			end--
		}
		dst = dst[:end]
	}
	return dst
}

// letters says what a byte is to the search for words. A table, since this is done for each name of each batch.
var letters = func() (of [256]letter) { //nolint:gochecknoglobals // immutable
	for _, c := range "/ \t\n:,()=&?" {
		of[c] = wordEnd
	}
	for c := '0'; c <= '9'; c++ {
		of[c] = digit
	}
	return of
}()

type letter uint8

const (
	wordEnd letter = iota + 1
	digit
)

func isJoint(c byte) bool { return c == '-' || c == '_' || c == '.' || c == '~' }

// appendWord appends a word that has a digit or is long.
func appendWord(dst []byte, w string) []byte {
	s := shapeOf(w)
	if s.isID(len(w)) || isUUID(w) {
		return append(dst, placeholder...)
	}
	for i := 0; i < len(w); {
		if isJoint(w[i]) {
			dst = append(dst, w[i])
			i++
			continue
		}
		j := i + 1
		for j < len(w) && !isJoint(w[j]) {
			j++
		}
		p := w[i:j]
		if s := shapeOf(p); s.digits == len(p) && len(p) >= 4 || s.digits < len(p) && s.isID(len(p)) {
			dst = append(dst, placeholder...)
		} else {
			dst = append(dst, p...)
		}
		i = j
	}
	return dst
}

// shape is what a word's characters are.
type shape struct {
	digits, hex, joints, foreign int
	changes                      int // of class between neighbours
}

func shapeOf(w string) (s shape) {
	last := -1
	for i := 0; i < len(w); i++ {
		class := 0
		switch c := w[i]; {
		case c >= '0' && c <= '9':
			s.digits++
			s.hex++
		case c >= 'a' && c <= 'z':
			if class = 1; c <= 'f' {
				s.hex++
			}
		case c >= 'A' && c <= 'Z':
			if class = 2; c <= 'F' {
				s.hex++
			}
		case isJoint(c):
			s.joints++
			class = 3
		default:
			s.foreign++
			class = 4
		}
		if i > 0 && class != last {
			s.changes++
		}
		last = class
	}
	return s
}

const (
	minHex   = 8
	minToken = 16
)

func (s shape) isID(n int) bool {
	switch {
	case s.digits > 0 && s.digits+s.joints == n:
		return true
	case n >= minHex && s.hex == n && s.digits > 0:
		return true
	case n >= minToken && s.foreign == 0 && s.joints*4 <= n:
		// In random base64 a character is of another class than the one before it in
		// 65 of 100 cases, in camel case in some 35.
		return s.changes*100 >= n*47
	}
	return false
}

// isUUID accepts 8-4-4-4-12 hex digits, in braces or not.
func isUUID(w string) bool {
	if len(w) == 38 && w[0] == '{' && w[37] == '}' {
		w = w[1:37]
	}
	if len(w) != 36 {
		return false
	}
	for i := 0; i < len(w); i++ {
		c := w[i]
		if i == 8 || i == 13 || i == 18 || i == 23 {
			if c != '-' {
				return false
			}
		} else if c |= 0x20; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// A nameClass says what a span's name is good for.
type nameClass uint8

const (
	nameUnknown nameClass = iota // not classified yet
	namePlain                    // a name
	nameMethod                   // an HTTP method and nothing else: a route says more
	namePath                     // holds a path: a route says it better
)

func classify(name string) nameClass {
	rest := name
	if len(rest) > 5 && rest[:5] == "HTTP " {
		rest = rest[5:]
	}
	if isMethod(rest) || name == "HTTP" {
		return nameMethod
	}
	for i := 0; i < len(name); i++ {
		if name[i] == '/' {
			return namePath
		}
	}
	return namePlain
}

func isMethod(s string) bool {
	switch s {
	case "GET", "POST", "PUT", "DELETE", "HEAD", "PATCH", "OPTIONS", "CONNECT", "TRACE", "QUERY":
		return true
	}
	return false
}

// methodOf is the HTTP method with which a name begins, or "".
func methodOf(name string) string {
	if len(name) > 5 && name[:5] == "HTTP " {
		name = name[5:]
	}
	for i := 0; i < len(name); i++ {
		if name[i] == ' ' {
			name = name[:i]
			break
		}
	}
	if isMethod(name) {
		return name
	}
	return ""
}

// appendRouted appends the name of a span whose route is known.
func appendRouted(dst []byte, name, method, route string) []byte {
	if m := methodOf(name); m != "" {
		method = m
	}
	if method != "" {
		dst = append(append(dst, method...), ' ')
	}
	return appendOperation(dst, route)
}
