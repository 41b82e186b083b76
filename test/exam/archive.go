package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// archive reads those files of a .tar.gz that are wanted, by their path in it. What is itself compressed is unpacked.
func archive(path string, want func(name string) bool) (map[string][]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	files := map[string][]byte{}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", path, err)
		}
		if h.Typeflag != tar.TypeReg || !want(h.Name) {
			continue
		}
		body, err := io.ReadAll(r)
		if err == nil && strings.HasSuffix(h.Name, ".gz") {
			body, err = unzip(body)
		}
		if err != nil {
			return nil, fmt.Errorf("read %s of %s: %w", h.Name, path, err)
		}
		files[h.Name] = body
	}
}

func unzip(b []byte) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}
