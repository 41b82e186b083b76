package attack

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A clock is another process' clock of the day, which we step.
//
// Problem: a process asks the kernel for the time of day, and the machine's clock is everybody's. Time namespaces shift
// only the clocks that count from the start. But it asks through the vDSO, some code that the kernel lays into each process, and that code can be written
// over as a debugger does when it sets a breakpoint: the copy of one process alone changes.
//
// What is written over clock_gettime asks the kernel itself and adds to the answer, for CLOCK_REALTIME alone, a number of seconds
// that is a part of the code. To step the clock is to write that number.
type clock struct {
	pid    int
	offset int64 // address of the number
}

// stepping is the code, for amd64. The number is at stepAt.
//
//	mov  eax, 228            ; clock_gettime
//	syscall
//	test edi, edi            ; CLOCK_REALTIME is 0
//	jnz  out
//	mov  rcx, seconds
//	add  [rsi], rcx
//	out: ret
var stepping = []byte{
	0xb8, 0xe4, 0x00, 0x00, 0x00, 0x0f, 0x05, 0x85, 0xff, 0x75, 0x0d,
	0x48, 0xb9, 0, 0, 0, 0, 0, 0, 0, 0, 0x48, 0x01, 0x0e, 0xc3,
}

const stepAt = 13

func takeClock(pid int) (*clock, error) {
	if runtime.GOARCH != "amd64" || runtime.GOOS != "linux" {
		return nil, fmt.Errorf("%w: a process' clock is stepped on linux/amd64 alone", errNotPermitted)
	}
	from, to, err := vdso(pid)
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(fmt.Sprintf("/proc/%d/mem", pid), os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNotPermitted, err)
	}
	defer f.Close()
	image := make([]byte, to-from)
	if _, err := f.ReadAt(image, from); err != nil {
		return nil, fmt.Errorf("%w: read the vDSO: %w", errNotPermitted, err)
	}
	e, err := elf.NewFile(bytes.NewReader(image))
	if err != nil {
		return nil, err
	}
	symbols, err := e.DynamicSymbols()
	if err != nil {
		return nil, err
	}
	for _, s := range symbols {
		if s.Name != "__vdso_clock_gettime" {
			continue
		}
		if s.Size < uint64(len(stepping)) {
			return nil, fmt.Errorf("%w: the vDSO's clock_gettime has only %d bytes", errNotPermitted, s.Size)
		}
		c := &clock{pid, from + int64(s.Value) + stepAt}
		return c, c.write(stepping, from+int64(s.Value))
	}
	return nil, fmt.Errorf("%w: the vDSO has no clock_gettime", errNotPermitted)
}

// vdso finds where the vDSO lies in a process.
func vdso(pid int) (from, to int64, err error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		return 0, 0, err
	}
	for line := range strings.Lines(string(b)) {
		if strings.Contains(line, "[vdso]") {
			span, _, _ := strings.Cut(line, " ")
			a, z, _ := strings.Cut(span, "-")
			from, _ = strconv.ParseInt(a, 16, 64)
			to, err = strconv.ParseInt(z, 16, 64)
			return from, to, err
		}
	}
	return 0, 0, fmt.Errorf("%w: the process has no vDSO", errNotPermitted)
}

// set steps the clock to so much beside the true time, in whole seconds.
func (c *clock) set(step time.Duration) error {
	return c.write(binary.LittleEndian.AppendUint64(nil, uint64(int64(step/time.Second))), c.offset)
}

// write writes into the process while it stands still.
func (c *clock) write(b []byte, at int64) error {
	if err := syscall.Kill(c.pid, syscall.SIGSTOP); err != nil {
		return err
	}
	defer func() { _ = syscall.Kill(c.pid, syscall.SIGCONT) }()
	time.Sleep(20 * time.Millisecond)
	f, err := os.OpenFile(fmt.Sprintf("/proc/%d/mem", c.pid), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.WriteAt(b, at); err != nil {
		return fmt.Errorf("%w: write over the vDSO: %w", errNotPermitted, err)
	}
	return nil
}
