package api

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// A server on loopback is not safe from pages of other sites by that alone: a site
// may point its own name at 127.0.0.1 once its page is loaded, and the browser then
// takes this server for the site (DNS rebinding). The page still names itself in
// the Host header. So a Host is taken if nobody on the internet can own it: an
// address, a name without a dot (containers and Kubernetes services call one another
// so), or a name under a suffix that is reserved for private use. Any other
// must be named in the configuration.

// The suffixes of names that no registrar gives: RFC 6761, RFC 6762, RFC 8375,
// ICANN's reservation of .internal, and Kubernetes' svc, which is no top-level domain.
var privateSuffixes = [...]string{".localhost", ".local", ".internal", ".home.arpa", ".svc"} //nolint:gochecknoglobals // immutable

func checkAllowedHost(h string) error {
	switch {
	case h == "":
		return errors.New("it is empty")
	case h == "*":
		return nil
	case strings.ContainsAny(h, "/:*@ "):
		return fmt.Errorf("%q is not a name: write no scheme, port or path, and a leading dot instead of a star", h)
	}
	return nil
}

// hostAllowed says whether a request with this Host header is answered.
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
		a = strings.ToLower(a)
		if a == "*" || a == host || strings.HasPrefix(a, ".") && strings.HasSuffix(host, a) {
			return true
		}
	}
	return false
}

// guard refuses requests that came by a name that is not ours, and changes that another site's page asks for.
func (a *API) guard(r *http.Request) error {
	if !hostAllowed(r.Host, a.cfg.AllowedHosts) {
		return &Error{Status: http.StatusMisdirectedRequest, Refused: "host", Detail: fmt.Sprintf(
			"this server does not answer by the name %q, to be safe from DNS rebinding; ask by address, or add the name to allowed_hosts", r.Host)}
	}
	if err := a.origins.Check(r); err != nil {
		return &Error{Status: http.StatusForbidden, Refused: "cross_site", Detail: "a page of another site asked for a change: " + err.Error()}
	}
	return nil
}
