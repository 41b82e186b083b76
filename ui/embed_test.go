package ui_test

import (
	"io/fs"
	"strings"
	"testing"

	"github.com/binnacle-mesh/binnacle/ui"
)

// Whether or not the view has been built, a browser must get a page; and what the page is must agree with Built.
func TestFSServesAPage(t *testing.T) {
	t.Parallel()
	page, err := fs.ReadFile(ui.FS(), "index.html")
	if err != nil {
		t.Fatalf("reading index.html: %v", err)
	}
	saysNotBuilt := strings.Contains(string(page), "make ui")
	if saysNotBuilt == ui.Built() {
		t.Errorf("Built() = %v, but the page says not built = %v", ui.Built(), saysNotBuilt)
	}
}
