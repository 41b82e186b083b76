package ui

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// markup is each way in which a page makes markup or code of a text. Names of services, spans and attributes are what senders choose:
// none of these may see one, and the surest way is that there is none.
var markup = regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|dangerouslySetInnerHTML|createContextualFragment|document\.write|srcdoc|\beval\(|new Function\(|javascript:`)

// TestNamesAreText: a script in a name stays a text. The page's policy, which runs no code but its own, is held by the stories of internal/api.
func TestNamesAreText(t *testing.T) {
	t.Parallel()
	looked := 0
	err := filepath.WalkDir("src", func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		if ext := filepath.Ext(name); ext != ".ts" && ext != ".tsx" {
			return nil
		}
		looked++
		src, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		if found := markup.Find(src); found != nil {
			t.Errorf("%s makes markup of a text by %s: let Preact write it, or set textContent", name, found)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if looked < 20 {
		t.Errorf("%d files were looked at: is this test blind?", looked)
	}
	for _, bad := range []string{"el.innerHTML = name", "eval(name)", "<p dangerouslySetInnerHTML={x} />", "href = `javascript:${x}`"} {
		if !markup.MatchString(bad) {
			t.Errorf("it does not see %q", bad)
		}
	}
}
