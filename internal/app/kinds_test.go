package app

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A fileKind is a kind of file that a server keeps in its data directory, and the test that changes each byte of one.
type fileKind struct {
	name   *regexp.Regexp // below the data directory, with slashes
	tried  string         // directory and name of the test; empty where nobody reads the file
	rarely bool           // the few seconds of this test leave none: it takes hours, a damage, or another configuration
}

func fileKinds() []fileKind {
	const ulid = `[0-9A-HJKMNP-TV-Z]{26}`
	is := regexp.MustCompile
	return []fileKind{
		{name: is(`^lock$`)},
		{name: is(`^wal/\d{8}$`), tried: "storage/wal TestEveryByte"},
		{name: is(`^checkpoints/\d{20}(-again)?\.ckpt$`), tried: "storage/checkpoint TestDamageFallsBack"},
		{name: is(`^blocks/[0-9a-f]{16}-[0-9a-f]{16}/spans\.parquet$`), tried: "storage/block TestFlippedBytes"},
		{name: is(`^blocks/[0-9a-f]{16}-[0-9a-f]{16}/requests\.parquet$`), tried: "storage/block TestFlippedBytes", rarely: true},
		{name: is(`^quota/counters$`), tried: "storage/journal TestAnyByteDamaged", rarely: true},
		{name: is(`^series/lock$`), rarely: true},
		{name: is(`^series/(wal|wbl)/\d{8}$`), tried: "storage/series TestEveryByteOfTheSeriesLog"},
		{name: is(`^series/wal/checkpoint\.\d{8}/\d{8}$`), tried: "storage/series TestEveryByteOfTheSeriesLog", rarely: true},
		// Written when a series begins its second chunk of samples, which a few seconds bring only by the hour they fall into.
		{name: is(`^series/chunks_head/\d{6}$`), tried: "storage/series TestEveryByteOfTheSeriesLog", rarely: true},
		{name: is(`^series/` + ulid + `/(meta\.json|index|tombstones|binnacle\.seal|chunks/\d{6})$`), tried: "storage/series TestEveryByteOfASeriesBlock", rarely: true},
		{name: is(`^series/about-damaged-.*\.json$`), tried: "storage/series TestEveryByteOfANote", rarely: true},
		// What is damaged is kept to be looked at, and read by nobody else.
		{name: is(`^series/damaged-|^wal/\d{8}\.\d+\.damaged$|^checkpoints/.*\.damaged$|^blocks/damaged-|^quota/.*damaged`), rarely: true},
	}
}

// Each file that a server leaves, while it runs and after it, is of a kind of which some test changes each byte. Who adds a kind of file writes such a test and names it above.
func TestEachKindOfFileIsTriedByteByByte(t *testing.T) {
	t.Parallel()
	dir := dataDirectory(t)
	left := filesBelow(t, dir)
	if err := serveOn(t, dir, func(*App) { left = append(left, filesBelow(t, dir)...) }); err != nil {
		t.Fatal(err)
	}
	seen := map[*regexp.Regexp]bool{}
	kinds := fileKinds()
	for _, path := range left {
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			t.Fatal(err)
		}
		at := slices.IndexFunc(kinds, func(k fileKind) bool { return k.name.MatchString(filepath.ToSlash(rel)) })
		if at < 0 {
			t.Errorf("%s is of no kind that a test tries byte by byte", rel)
			continue
		}
		seen[kinds[at].name] = true
	}
	for _, k := range kinds {
		if !k.rarely && !seen[k.name] {
			t.Errorf("no file is of the kind %s: is it kept elsewhere now?", k.name)
		}
		if where, test, named := strings.Cut(k.tried, " "); named && !isTest(t, filepath.Join("..", "..", filepath.FromSlash(where)), test) {
			t.Errorf("%s is to be tried by %s, which is not there", k.name, k.tried)
		}
	}
}

// isTest says whether a directory has a test of that name.
func isTest(t *testing.T, dir, name string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range files {
		b, err := os.ReadFile(filepath.Clean(path))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(b), "\nfunc "+name+"(t *testing.T)") {
			return true
		}
	}
	return false
}
