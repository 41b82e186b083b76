package attack

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// full is whether to send the full numbers.
var full = os.Getenv("ATTACK") == "full"

// sized is the number for the short or for the full form.
func sized(short, whole int) int {
	if full {
		return whole
	}
	return short
}

// the report of all attacks, printed when all have ended.
var report table

func TestMain(m *testing.M) {
	if text := os.Getenv(errandVariable); text != "" {
		if err := doErrand(text); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	began := time.Now()
	code := m.Run()
	report.print(os.Stdout, time.Since(began))
	if os.Getenv("BINNACLE_BIN") == "" {
		if path, err := builtOnce(); err == nil {
			os.RemoveAll(filepath.Dir(path))
		}
	}
	os.Exit(code)
}

// builtOnce is the binary to attack: BINNACLE_BIN, or one built for all attacks.
var builtOnce = sync.OnceValues(func() (string, error) {
	if path := os.Getenv("BINNACLE_BIN"); path != "" {
		return path, nil
	}
	dir, err := os.MkdirTemp("", "binnacle-attack")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "binnacle")
	if out, err := exec.Command("go", "build", "-o", path, "github.com/binnacle-mesh/binnacle/cmd/binnacle").CombinedOutput(); err != nil {
		return "", fmt.Errorf("build binnacle: %w\n%s", err, out)
	}
	return path, nil
})
