package demo

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// asChild makes the test binary a demo of its own, so that a test can kill it.
const asChild = "BINNACLE_DEMO_CHILD"

func TestMain(m *testing.M) {
	if mesh := os.Getenv(asChild); mesh != "" {
		if err := child(mesh); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// child prints the process ids of its Envoys and waits to be killed.
func child(mesh string) error {
	m, err := Start(context.Background(), Config{Mesh: mesh, Rate: 20}, discard())
	if err != nil {
		return err
	}
	defer m.Close()
	fmt.Println(strings.Trim(fmt.Sprint(m.PIDs()), "[]"))
	return <-m.Failed()
}

// TestEnvoysDieWithTheirParent kills a demo as hard as can be, and looks for what it left behind.
func TestEnvoysDieWithTheirParent(t *testing.T) {
	t.Parallel()
	envoyOrSkip(t)
	s := newSink(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), self)
	command.Env = append(os.Environ(), asChild+"="+s.address)
	command.Stderr = os.Stderr
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("read the Envoys' process ids: %v", err)
	}
	pids := strings.Fields(line)
	if len(pids) != len(plan(theShop())) {
		t.Fatalf("%d Envoys for %d workloads", len(pids), len(plan(theShop())))
	}
	if err := command.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = command.Wait() // killed, as it should be
	for _, field := range pids {
		pid, err := strconv.Atoi(field)
		if err != nil {
			t.Fatal(err)
		}
		for deadline := time.Now().Add(10 * time.Second); runs(pid); {
			if time.Now().After(deadline) {
				t.Errorf("Envoy %d outlived its demo", pid)
				break
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
}

// runs tells whether the process is there and no zombie: one whose parent is gone may wait long for a reaper.
func runs(pid int) bool {
	if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		return false
	}
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return !errors.Is(err, os.ErrNotExist)
	}
	_, after, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(after, "Z")
}
