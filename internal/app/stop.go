package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// How a server stops where its disk may be read-only, dead or hanging, in five lines:
//
//	Receiving ends: what is under way is answered, within grace.
//	Then the stores are closed, which writes what they have in memory, for as long as that takes.
//	Beside both a small file is written and synced in the data directory, again and again.
//	When that fails, or does not return, nothing more is waited for: a second for what is nearly done, then the process ends.
//	Nothing is lost by it: what was acknowledged is in the log, and the next start derives the rest from it.
//
// Not chosen: a limit on the time that closing takes. A sound disk with much to write needs long, and a broken one needs none.

const (
	answerWithin = 2 * time.Second        // how long a disk may take for a small file before it counts as hanging
	lookAgain    = 500 * time.Millisecond // between two such files
	lastMoment   = time.Second            // for what is nearly done when the disk turns out not to work
)

// stop ends what runs, in order, and closes what is open. It returns early, and leaves goroutines behind, where the disk does not work.
func (a *App) stop(wg *sync.WaitGroup) error {
	receiving, cut := context.WithTimeout(context.Background(), grace)
	defer cut()
	closed := make(chan error, 1)
	go func() {
		err := a.stopReceiving(receiving)
		wg.Wait()
		closed <- errors.Join(err, a.closeAll())
	}()
	for {
		next := time.NewTimer(lookAgain)
		select {
		case err := <-closed:
			next.Stop()
			if err != nil { // what each room says of a disk that does not work is said once
				if cause := answers(a.cfg.Data, answerWithin); cause != nil {
					return unwritten(cause)
				}
			}
			return err
		case <-next.C:
		}
		if err := answers(a.cfg.Data, answerWithin); err != nil {
			cut()
			return a.leaveBehind(closed, err)
		}
	}
}

// leaveBehind ends without what a disk that does not work holds back.
func (a *App) leaveBehind(closed <-chan error, cause error) error {
	last := time.NewTimer(lastMoment)
	defer last.Stop()
	select {
	case <-closed: // what it says has the same cause
	case <-last.C:
	}
	return unwritten(cause)
}

func unwritten(cause error) error {
	return fmt.Errorf("stopped without writing what was in memory: %w; what was acknowledged is in the log, and the next start goes on from there", cause)
}

// answers says whether a small file can be written and synced in the directory; it waits no longer than that for it.
func answers(dir string, within time.Duration) error {
	wrote := make(chan error, 1)
	go func() { wrote <- writeSmall(filepath.Join(dir, probeName)) }()
	patience := time.NewTimer(within)
	defer patience.Stop()
	select {
	case err := <-wrote:
		if err != nil {
			return fmt.Errorf("the data directory cannot be written: %w", err)
		}
		return nil
	case <-patience.C:
		return fmt.Errorf("the disk of the data directory %s did not answer within %v", dir, within)
	}
}

// probeName is a file that is there for a moment. One that was left behind is written over by the next.
const probeName = "probe.tmp"

func writeSmall(name string) error {
	f, err := os.OpenFile(filepath.Clean(name), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, privateFile)
	if err != nil {
		return err
	}
	_, err = f.WriteString("is there a disk?\n")
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close(), os.Remove(name))
}
