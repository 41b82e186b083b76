// Package ui carries the topology web view inside the binary.
//
// The view is a TypeScript program of its own (src/, see src/README.md); `make ui` builds it into dist/, and
// dist/ is embedded when the Go program is built. dist/ itself is not kept in the repository: only its .gitkeep
// is, so that a checkout compiles before anybody has run Node. Such a binary serves placeholder/ instead, a page
// that says what to do, rather than an empty answer that looks like a fault.
package ui

import (
	"embed"
	"io/fs"
)

//go:embed all:dist
var dist embed.FS

//go:embed placeholder
var placeholder embed.FS

// FS returns the files of the web view with index.html at the root: the built view, or the placeholder page when
// the binary was built without one (see Built). The result is read-only and safe for concurrent use.
func FS() fs.FS {
	if Built() {
		return sub(dist, "dist")
	}
	return sub(placeholder, "placeholder")
}

// Built tells whether this binary carries the built web view rather than the placeholder.
func Built() bool {
	_, err := fs.Stat(dist, "dist/index.html")
	return err == nil
}

// sub narrows an embedded tree to one folder. Both names are constants of this file and exist by the embed
// directives, so an error can only be a mistake of ours.
func sub(tree fs.FS, dir string) fs.FS {
	inner, err := fs.Sub(tree, dir)
	if err != nil {
		panic("BUG: ui: " + err.Error())
	}
	return inner
}
