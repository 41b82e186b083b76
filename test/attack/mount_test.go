package attack

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

// A server whose disk is to fail has a mount namespace of its own. A process that does nothing holds it, so that mounts outlive the
// server, and are gone with the test, however it ends. Mounting a tmpfs needs no more than a user namespace; freezing and
// breaking a file system needs root and a loop device.

// errNotPermitted is what this machine does not let us do.
var errNotPermitted = errors.New("this machine does not permit it")

// A device is an ext4 file system on a loop device, in the holder's namespace.
type device struct {
	image, at string
	enter     []string // a command that enters the namespace
	inside    string
	node      string // the loop device's name
}

// hold starts the process that holds the namespace, after a script has prepared it.
func (w *world) hold(script string, asRoot bool) error {
	flags := []string{"-m", "--propagation", "private"}
	enter := []string{"-m"}
	if !asRoot && os.Getuid() != 0 {
		flags = append(flags, "-U", "-r")
		enter = append(enter, "-U", "--preserve-credentials")
	}
	cmd := exec.Command("unshare", append(flags, "sh", "-ec", script+"\necho ready\nexec sleep 100000")...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return errors.Join(errNotPermitted, err)
	}
	line, _ := bufio.NewReader(out).ReadString('\n')
	w.t.Cleanup(func() {
		w.kill()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	if line != "ready\n" {
		_ = cmd.Process.Kill()
		return fmt.Errorf("%w: a mount namespace: %s", errNotPermitted, strings.TrimSpace(said.String()))
	}
	pid := strconv.Itoa(cmd.Process.Pid)
	w.within = append([]string{"nsenter", "-t", pid}, enter...)
	w.inside = filepath.Join("/proc", pid, "root")
	return nil
}

// onSmallMount puts the data on a tmpfs that is nearly full.
func onSmallMount(w *world) error {
	return w.hold(fmt.Sprintf("mkdir -p %[1]q\nmount -t tmpfs -o size=192m tmpfs %[1]q\nhead -c 100M /dev/zero > %[1]q/ballast", w.data), false)
}

// onDevice puts the data on a file system of its own.
func onDevice(w *world) error {
	if os.Getuid() != 0 {
		return fmt.Errorf("%w: a loop device needs root", errNotPermitted)
	}
	d := &device{image: filepath.Join(w.dir, "disk.img"), at: w.data}
	if err := w.hold(fmt.Sprintf("mkdir -p %[1]q\ntruncate -s 300M %[2]q\nmkfs.ext4 -q -F -e remount-ro %[2]q\nmount -o loop %[2]q %[1]q", w.data, d.image), true); err != nil {
		return err
	}
	d.enter, d.inside = w.within, w.inside
	w.disk = d
	return d.find()
}

// find looks for the loop device's name.
func (d *device) find() error {
	b, err := os.ReadFile(filepath.Join(filepath.Dir(d.inside), "mounts"))
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) > 1 && f[1] == d.at {
			d.node = filepath.Base(f[0])
			return nil
		}
	}
	return fmt.Errorf("%s is not mounted", d.at)
}

func (d *device) run(args ...string) error {
	all := append(append([]string{}, d.enter...), args...)
	if out, err := exec.Command(all[0], all[1:]...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, out)
	}
	return nil
}

// freeze lets every write wait for so long. The process that thaws it does so even if this one has ended. The function that is returned waits for that.
func (d *device) freeze(length time.Duration) (wait func() error, err error) {
	script := fmt.Sprintf("fsfreeze -f %[1]q && echo frozen && sleep %.3[2]f; fsfreeze -u %[1]q", d.at, length.Seconds())
	cmd := exec.Command(d.enter[0], append(d.enter[1:len(d.enter):len(d.enter)], "sh", "-c", script)...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	if line, _ := bufio.NewReader(out).ReadString('\n'); line != "frozen\n" {
		return nil, errors.Join(errors.New("the file system does not freeze"), cmd.Wait())
	}
	return cmd.Wait, nil
}

// turnReadOnly reports an error to the file system, which then takes no more writes.
func (d *device) turnReadOnly() error {
	return os.WriteFile(filepath.Join("/sys/fs/ext4", d.node, "trigger_fs_error"), []byte("an attack on a test's disk"), 0o200)
}

// die lets every read and write fail from now on, what is not yet on disk included.
func (d *device) die() error {
	f, err := os.Open(filepath.Join(d.inside, d.at))
	if err != nil {
		return err
	}
	defer f.Close()
	const shutdown, withoutFlush = 0x8004587d, 2
	var flag [4]byte
	binary.NativeEndian.PutUint32(flag[:], withoutFlush)
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, f.Fd(), shutdown, uintptr(unsafe.Pointer(&flag))); errno != 0 {
		return fmt.Errorf("%w: shut a file system down: %w", errNotPermitted, errno)
	}
	return nil
}

// remount unmounts the file system, repairs it and mounts it again. Nobody uses it meanwhile.
func (d *device) remount() error {
	var err error
	for range 50 {
		if err = d.run("umount", d.at); err == nil {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	if err != nil {
		return err
	}
	_ = d.run("e2fsck", "-fy", d.image) // its status is 1 where it repaired
	if err := d.run("mount", "-o", "loop", d.image, d.at); err != nil {
		return err
	}
	return d.find()
}
