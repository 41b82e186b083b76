package quota

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/binnacle-mesh/binnacle/quota/rule"
	"github.com/binnacle-mesh/binnacle/quota/top"
)

// maxFileSize keeps a wrong path (a log, a device) from being read into memory.
const maxFileSize = 16 << 20

// Reload reads the rule files and, if they have changed and all are good, makes them the current generation. If any is wrong, the
// old rules stay, the error is logged once and told by Status until good files are there. Decisions go on meanwhile.
func (e *Engine) Reload(now time.Time) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	files, err := readFiles(e.cfg.Files)
	var digest [32]byte
	if err != nil {
		digest = sha256.Sum256([]byte(err.Error()))
	} else {
		digest = digestOf(files)
	}
	if digest == e.digest && e.current.Load() != nil {
		if f := e.failure.Load(); f != nil {
			return f.err
		}
		return nil
	}
	e.digest = digest
	var set *rule.Set
	var domains []string
	if err == nil {
		set, domains, err = rule.Load(files, rule.Options{MergeDomains: e.cfg.MergeDomains})
	}
	if err != nil {
		err = fmt.Errorf("quota: load rules: %w", err)
		e.failures.Add(1)
		e.failure.Store(&failure{err})
		if e.current.Load() != nil {
			e.log.Error("quota rules not reloaded, the old ones stay in force", "error", err)
		}
		return err
	}
	g := e.compile(set, now)
	for i, f := range files {
		g.files = append(g.files, FileStatus{Name: filepath.Base(f.Name), Domain: domains[i]})
	}
	e.current.Store(g)
	e.failure.Store(nil)
	e.reloads.Add(1)
	e.log.Info("quota rules loaded", "generation", g.number, "files", len(files), "rules", len(set.Rules))
	return nil
}

// CheckFiles reads the rule files that cfg names, as a reload would, and says all that is wrong with them.
func CheckFiles(cfg Config) error {
	files, err := readFiles(cfg.Files)
	if err == nil {
		_, _, err = rule.Load(files, rule.Options{MergeDomains: cfg.MergeDomains})
	}
	if err != nil {
		return fmt.Errorf("quota: load rules: %w", err)
	}
	return nil
}

// compile makes a generation of set, with the statistics of rules that were there before. mu is held.
func (e *Engine) compile(set *rule.Set, now time.Time) *generation {
	g := &generation{number: 1, loadedAt: now, set: set, overrides: make(map[string]*ruleStats)}
	if old := e.current.Load(); old != nil {
		g.number = old.number + 1
	}
	kept := make(map[string]*ruleStats, len(set.Rules))
	for _, r := range set.Rules {
		s := e.statsOf(r.ID, kept)
		length := max(1, r.Limit.Window()) // an unlimited rule has no window and needs none
		g.rules = append(g.rules, compiled{
			rule: r, stats: s, window: length, near: nearLimit(r.Limit.RequestsPerUnit, e.cfg.NearLimitRatio),
			shared: e.hash(binary.LittleEndian.AppendUint32([]byte(r.ID), length)),
		})
	}
	g.domains = set.Domains()
	for _, domain := range g.domains {
		g.overrides[domain] = e.statsOf(overrideID(domain), kept)
	}
	for id, s := range e.stats {
		if kept[id] == nil {
			e.detailed.Add(-int64(s.details()))
		}
	}
	e.stats = kept
	return g
}

// overrideID is the identifier under which limits that requests bring themselves are counted. It cannot be a rule's: no path
// of keys starts so, and if one did, the statistics of both would be one.
func overrideID(domain string) string { return domain + "/(request)" }

func (e *Engine) statsOf(id string, kept map[string]*ruleStats) *ruleStats {
	s := e.stats[id]
	if s == nil {
		s = &ruleStats{tag: e.tags.Add(1) - 1, limited: top.NewSketch(topLimited)}
	}
	kept[id] = s
	return s
}

func (s *ruleStats) details() int {
	s.detailMu.RLock()
	defer s.detailMu.RUnlock()
	return len(s.detail)
}

// readFiles reads what paths name, in the order of paths and names.
func readFiles(paths []string) ([]rule.File, error) {
	var files []rule.File
	seen := make(map[string]bool)
	for _, p := range paths {
		names, err := expand(p)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			if seen[name] {
				continue
			}
			seen[name] = true
			content, err := readFile(name)
			if err != nil {
				return nil, err
			}
			files = append(files, rule.File{Name: name, Content: content})
		}
	}
	return files, nil
}

// expand returns path itself, or the rule files in it if it is a directory.
func expand(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("find rule files: %w; correct quota.files, or create it", err)
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, fmt.Errorf("list rule files: %w; make the directory readable", err)
	}
	var names []string
	for _, entry := range entries {
		name := filepath.Join(path, entry.Name())
		ext := filepath.Ext(name)
		if strings.HasPrefix(entry.Name(), ".") || ext != ".yaml" && ext != ".yml" {
			continue
		}
		// A mounted ConfigMap shows its files as links.
		if info, err := os.Stat(name); err != nil || !info.Mode().IsRegular() {
			continue
		}
		names = append(names, name)
	}
	return names, nil
}

func readFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("read rule file: %w; make it readable", err)
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxFileSize+1))
	if err != nil {
		return nil, fmt.Errorf("read rule file %s: %w", name, err)
	}
	if len(content) > maxFileSize {
		return nil, fmt.Errorf("read rule file %s: it is larger than %d MiB; name a rule file, or split it", name, maxFileSize>>20)
	}
	return content, nil
}

func digestOf(files []rule.File) (digest [32]byte) {
	h := sha256.New()
	for _, f := range files {
		fmt.Fprintf(h, "%d %s %d ", len(f.Name), f.Name, len(f.Content))
		h.Write(f.Content)
	}
	h.Sum(digest[:0])
	return digest
}

// directories returns what must be watched to see any rule file change: a file is usually replaced, not written to, so its
// directory is watched.
func directories(paths []string) []string {
	dirs := make(map[string]bool)
	for _, p := range paths {
		if info, err := os.Stat(p); err == nil && !info.IsDir() {
			p = filepath.Dir(p)
		}
		dirs[p] = true
	}
	return slices.Sorted(maps.Keys(dirs))
}
