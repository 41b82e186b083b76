package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
)

const module = "github.com/binnacle-mesh/binnacle/"

// comments are a package's, by type.
type comments map[string]typeComments

type typeComments struct {
	about  string
	fields map[string]string
}

func (g *generator) commentsOf(t reflect.Type) typeComments {
	known, ok := g.packages[t.PkgPath()]
	if !ok {
		var err error
		if known, err = readComments(filepath.Join(g.root, strings.TrimPrefix(t.PkgPath(), module))); err != nil {
			g.fail("%w", err)
		}
		g.packages[t.PkgPath()] = known
	}
	return known[t.Name()]
}

func readComments(dir string) (comments, error) {
	out := comments{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(dir, e.Name()), nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		for _, d := range f.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok || g.Tok != token.TYPE {
				continue
			}
			for _, s := range g.Specs {
				spec := s.(*ast.TypeSpec) //nolint:forcetypeassert // a type declaration has no other
				if t, ok := spec.Type.(*ast.StructType); ok {
					out[spec.Name.Name] = typeComments{text(g.Doc), fieldComments(t)}
				}
			}
		}
	}
	return out, nil
}

// fieldComments are the comments on fields. One that speaks of several by name
// stands for those that follow without one.
func fieldComments(t *ast.StructType) map[string]string {
	names := map[string]string{} // in the source, to those in the file
	for _, f := range t.Fields.List {
		for _, n := range f.Names {
			if f.Tag != nil {
				name, _, _ := strings.Cut(reflect.StructTag(strings.Trim(f.Tag.Value, "`")).Get("yaml"), ",")
				names[n.Name] = name
			}
		}
	}
	out := map[string]string{}
	var last string // the comment above, in the source's words
	for _, f := range t.Fields.List {
		for _, n := range f.Names {
			about := text(f.Doc)
			if about == "" {
				about = text(f.Comment)
			}
			if about == "" && mentions(last, n.Name) {
				about = last
			}
			last = about
			out[n.Name] = inFileWords(about, names)
		}
	}
	return out
}

func text(c *ast.CommentGroup) string { return strings.Join(strings.Fields(c.Text()), " ") }

var (
	word = regexp.MustCompile(`\[?\b[A-Z][A-Za-z0-9]+\b\]?`)
	// subject is what a comment begins with: the names of what it speaks of.
	subject = regexp.MustCompile(`^[A-Z]\w*((,| and) [A-Z]\w*)*`)
	// compound is a name that cannot be a word of the text.
	compound = regexp.MustCompile(`[a-z][A-Z]|[A-Z]{2}`)
)

func mentions(text, name string) bool {
	for _, w := range word.FindAllString(text, -1) {
		if w == name {
			return true
		}
	}
	return false
}

// inFileWords puts the names of the file in the place of the fields' names.
func inFileWords(about string, names map[string]string) string {
	rename := func(w string) string {
		w = strings.Trim(w, "[]")
		if n := names[w]; n != "" {
			return n
		}
		return w
	}
	begin := subject.FindString(about)
	rest := word.ReplaceAllStringFunc(about[len(begin):], func(w string) string {
		if compound.MatchString(w) {
			return rename(w)
		}
		return strings.Trim(w, "[]")
	})
	return word.ReplaceAllStringFunc(begin, rename) + rest
}
