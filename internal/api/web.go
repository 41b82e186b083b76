package api

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"

	"github.com/klauspost/compress/gzip"
)

// A webView is the files of the web view, read, tagged and compressed once: they
// are part of the binary and do not change while it runs.
type webView struct {
	files map[string]*webFile // by path without the leading slash
	index *webFile
}

type webFile struct {
	body, gzipped []byte // gzipped is nil where it would not be smaller
	contentType   string
	etag          string
	caching       string
}

const (
	forever    = "public, max-age=31536000, immutable"
	revalidate = "no-cache"
	// policy lets the page run its own code alone and talk to this server alone.
	// Styles may stand in the page: the charts set them so. Workers may be made from
	// text that the page holds, which is how bundlers make them.
	policy = "default-src 'self'; img-src 'self' data: blob:; style-src 'self' 'unsafe-inline'; worker-src 'self' blob:; " +
		"object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)

// contentTypes are ours and not the system's: a machine without a mime table
// must serve a module as JavaScript, or no browser runs it.
var contentTypes = map[string]string{ //nolint:gochecknoglobals // immutable
	".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".mjs": "text/javascript; charset=utf-8",
	".css": "text/css; charset=utf-8", ".json": jsonType, ".map": jsonType, ".webmanifest": "application/manifest+json",
	".svg": "image/svg+xml", ".png": "image/png", ".jpg": "image/jpeg", ".ico": "image/x-icon", ".webp": "image/webp",
	".woff2": "font/woff2", ".wasm": "application/wasm", ".txt": "text/plain; charset=utf-8",
}

func newWebView(files fs.FS) (*webView, error) {
	v := &webView{files: map[string]*webFile{}}
	err := fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		body, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		v.files[name] = newWebFile(name, body)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the web view: %w", err)
	}
	if v.index = v.files["index.html"]; v.index == nil {
		return nil, errors.New("the web view has no index.html; build it with make ui")
	}
	return v, nil
}

func newWebFile(name string, body []byte) *webFile {
	sum := sha256.Sum256(body)
	f := &webFile{body: body, etag: `"` + hex.EncodeToString(sum[:12]) + `"`, caching: revalidate, contentType: contentTypes[path.Ext(name)]}
	if f.contentType == "" {
		f.contentType = "application/octet-stream"
	}
	if strings.HasPrefix(name, "assets/") { // the bundler puts a hash into these names
		f.caching = forever
	}
	if len(body) >= gzipFrom {
		var out bytes.Buffer
		z := newGzip(gzip.BestCompression)
		z.Reset(&out)
		writeGzip(z, body)
		if out.Len() < len(body)*9/10 {
			f.gzipped = out.Bytes()
		}
	}
	return f
}

// webPage serves the web view: its files, and its one page for whatever else a
// browser asks for, because the page's own addresses are paths.
func (a *API) webPage(w http.ResponseWriter, r *http.Request) error {
	name := strings.TrimPrefix(r.URL.Path, "/")
	f, ok := a.web.files[name]
	switch {
	case ok:
	case a.isPageAddress(name) && (name == "" || acceptsHTML(r)):
		f = a.web.index
	default:
		return a.notRouted(w, r)
	}
	h := w.Header()
	h.Set("Cache-Control", f.caching)
	h.Set("Content-Security-Policy", policy)
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
	if f.gzipped != nil {
		h.Set("Vary", "Accept-Encoding")
	}
	h.Set("ETag", f.etag)
	if Has(r, f.etag) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	body := f.body
	if f.gzipped != nil && acceptsGzip(r) {
		body = f.gzipped
		h.Set("Content-Encoding", "gzip")
	}
	h.Set("Content-Type", f.contentType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // a client that is gone cannot be told so
	}
	return nil
}

// isPageAddress keeps a mistyped API path or a missing file from being
// answered with a page.
func (a *API) isPageAddress(name string) bool {
	first, _, _ := strings.Cut(name, "/")
	switch first {
	case "api", "-", "debug", "metrics", "assets":
		return false
	}
	for i := range a.deps.Dialects {
		m := &a.deps.Dialects[i]
		for _, folder := range []string{m.Prefix, m.Base} {
			if top, _, _ := strings.Cut(strings.TrimPrefix(folder, "/"), "/"); folder != "" && top == first {
				return false
			}
		}
	}
	return true
}

// acceptsHTML tells a browser that follows a link from a script that looks for
// a file: only the first asks for a page by name.
func acceptsHTML(r *http.Request) bool { return strings.Contains(r.Header.Get("Accept"), "text/html") }
