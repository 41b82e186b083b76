package door

import (
	"fmt"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// Who may ask over HTTP.
//
// A server on loopback is not safe from pages of other sites by that alone, in two ways.
//
// A page may send to it: a form, or a script without asking first, reaches 127.0.0.1 like any other address; the page cannot read
// the answer, but what was sent has come. Browsers say where a request comes from (Sec-Fetch-Site; Origin, with each POST), and they
// send nothing but three types of content (text/plain and the two of forms, or none) without asking the server first. So a request is
// refused if it comes from another site, and data are taken in the types of telemetry alone.
//
// A site may point its own name at 127.0.0.1 once its page is loaded, and the browser then takes this server for the site (DNS
// rebinding). The page still names itself in the Host header. So a Host is taken if nobody on the internet can own it: an address, a
// name without a dot (containers and Kubernetes services call one another so), or a name under a suffix that is reserved for
// private use. Any other must be named in the configuration.
//
// A sender that is no browser may call a server that it reaches over a network by any name, such as binnacle.monitoring: it gains
// nothing by it, and nobody can make it do so. Over loopback, or with anything in the request that browsers alone add, the rule holds
// for all. On the web port it holds for all anyway, since what can be read there is worth a page's trouble, and browsers add
// nothing to a plain GET over unencrypted HTTP.

// The suffixes of names that no registrar gives: RFC 6761, RFC 6762, RFC 8375,
// ICANN's reservation of .internal, and Kubernetes' svc, which is no top-level domain.
var privateSuffixes = [...]string{".localhost", ".local", ".internal", ".home.arpa", ".svc"} //nolint:gochecknoglobals // immutable

// A Reason says why a request was refused; it is a label of a metric.
type Reason string

// The reasons.
const (
	Host        Reason = "host"         // the request names a server that this one is not
	CrossSite   Reason = "cross_site"   // another site's page asks
	ContentType Reason = "content_type" // not a type of telemetry
	BodySize    Reason = "body_size"    // announced larger than a message may be
)

// A Refusal is a request that is not answered, and what its sender is told.
type Refusal struct {
	Status int
	Reason Reason
	Detail string // what was wrong and what to do
}

// Error is the detail.
func (r *Refusal) Error() string { return r.Detail }

// Rules say whose requests are answered. They do not change.
type Rules struct {
	hosts, origins []string
}

// NewRules are those of a configuration.
func NewRules(cfg Config) *Rules {
	r := &Rules{}
	for _, h := range cfg.AllowedHosts {
		r.hosts = append(r.hosts, strings.ToLower(h))
	}
	for _, o := range cfg.AllowedOrigins {
		r.origins = append(r.origins, strings.ToLower(o))
	}
	return r
}

// Web says whether a request to the web port is answered: nil, or why not. Another site's page may open the web view, as by a
// link, and do nothing else.
func (s *Rules) Web(r *http.Request) *Refusal {
	if refusal := s.host(r); refusal != nil {
		return refusal
	}
	reads := r.Method == http.MethodGet || r.Method == http.MethodHead
	from := r.Header.Get("Sec-Fetch-Site")
	switch {
	case from == "same-origin", from == "none":
		return nil
	case from == "" && (reads || sameOrigin(r)): // a browser that says nothing of a GET lets no other site read the answer
		return nil
	case from != "" && reads && r.Header.Get("Sec-Fetch-Mode") == "navigate" && r.Header.Get("Sec-Fetch-Dest") == "document":
		return nil
	}
	return &Refusal{http.StatusForbidden, CrossSite, fmt.Sprintf(
		"a page of another site (%s) asks: only this server's own pages may; other programs ask without the headers Origin and Sec-Fetch-Site", origin(r))}
}

// Receive says whether a request that brings data is answered: nil, or why not. types are those of the content that is taken; nil leaves it to whoever reads it.
func (s *Rules) Receive(r *http.Request, types []string) *Refusal {
	if byBrowser(r) || overLoopback(r) {
		if refusal := s.host(r); refusal != nil {
			return refusal
		}
	}
	if from := r.Header.Get("Sec-Fetch-Site"); from != "same-origin" && from != "none" && !s.Allowed(r) && (from != "" || !sameOrigin(r)) {
		return &Refusal{http.StatusForbidden, CrossSite, fmt.Sprintf(
			"a page of another site (%s) sends: none may, unless door.allowed_origins names it", origin(r))}
	}
	if r.Method != http.MethodPost && r.Method != http.MethodPut {
		return nil // nothing is taken by it; whoever serves the path says so
	}
	if types == nil {
		return nil
	}
	if mt, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || !slices.Contains(types, mt) {
		return &Refusal{http.StatusUnsupportedMediaType, ContentType, fmt.Sprintf(
			"content type %.100q is not taken here: send %s", r.Header.Get("Content-Type"), strings.Join(types, " or "))}
	}
	return nil
}

// Allowed says whether a page asks that the configuration lets send.
func (s *Rules) Allowed(r *http.Request) bool {
	return len(s.origins) > 0 && slices.Contains(s.origins, strings.ToLower(r.Header.Get("Origin")))
}

func (s *Rules) host(r *http.Request) *Refusal {
	if hostAllowed(r.Host, s.hosts) {
		return nil
	}
	return &Refusal{http.StatusMisdirectedRequest, Host, fmt.Sprintf(
		"this server does not answer by the name %.200q, to be safe from DNS rebinding; ask by address, or add the name to door.allowed_hosts", r.Host)}
}

// sameOrigin says that the request names no origin, or the server's own.
func sameOrigin(r *http.Request) bool {
	o := r.Header.Get("Origin")
	if o == "" {
		return true
	}
	u, err := url.Parse(o)
	return err == nil && u.Host != "" && u.Host == r.Host
}

// byBrowser says that the request has what browsers add to those that pages can send, and what hardly anybody else does.
func byBrowser(r *http.Request) bool {
	return r.Header.Get("Origin") != "" || r.Header.Get("Sec-Fetch-Site") != "" || r.Header.Get("Referer") != ""
}

// overLoopback says that the request came from this machine to one of its loopback addresses.
func overLoopback(r *http.Request) bool {
	addr, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	tcp, ok := addr.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}

func origin(r *http.Request) string {
	if o := r.Header.Get("Origin"); o != "" {
		return fmt.Sprintf("%.200q", o)
	}
	return fmt.Sprintf("%.50q, says Sec-Fetch-Site", r.Header.Get("Sec-Fetch-Site"))
}

// hostAllowed says whether a request with this Host header is answered. allowed is in lower case.
func hostAllowed(host string, allowed []string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return true
	}
	if !strings.Contains(host, ".") {
		return true
	}
	for _, s := range privateSuffixes {
		if strings.HasSuffix(host, s) {
			return true
		}
	}
	for _, a := range allowed {
		if a == "*" || a == host || strings.HasPrefix(a, ".") && strings.HasSuffix(host, a) {
			return true
		}
	}
	return false
}
