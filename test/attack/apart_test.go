package attack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"syscall"
)

// Attackers do not live on the machine that they attack. Here they must, and so as to take as little as they can of the honest sender's
// processor they run in a process of their own, behind the server and the honest sender in the kernel's eyes.

// An errand is what that process is told.
type errand struct {
	Name, Dir, Data string
	Ports           map[string]string
	Process         int
}

// An outcome is what it tells when it is done.
type outcome struct {
	Saw, Err                                          string
	Acked, Rejected, Refused, Unknown, Told, Withheld int64
}

const errandVariable = "ATTACK_ERRAND"

// everyAttack are those that can be done apart.
func everyAttack() []attack {
	return slices.Concat(nameAttacks(), connectionAttacks(), queryAttacks(), doorAttacks(), loadAttacks())
}

// apart does the attack in a process of its own.
func (a attack) apart(ctx context.Context, w *world, n *tally) (string, error) {
	e := errand{Name: a.name, Dir: w.dir, Data: w.data, Ports: map[string]string{}, Process: w.pid()}
	for _, p := range w.ports() {
		e.Ports[p.name] = *p.addr
	}
	told, err := json.Marshal(e)
	if err != nil {
		return "", err
	}
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, self)
	cmd.Env = append(os.Environ(), errandVariable+"="+string(told))
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	said, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("the attacker's process: %w", err)
	}
	var o outcome
	if err := json.Unmarshal(said, &o); err != nil {
		return "", fmt.Errorf("the attacker's process said %.200q: %w", said, err)
	}
	n.acked.Add(o.Acked)
	n.rejected.Add(o.Rejected)
	n.refused.Add(o.Refused)
	n.unknown.Add(o.Unknown)
	n.told.Add(o.Told)
	n.dry.Add(o.Withheld)
	if o.Err != "" {
		return o.Saw, errors.New(o.Err)
	}
	return o.Saw, nil
}

// doErrand is the attacker's process.
func doErrand(text string) error {
	_ = syscall.Setpriority(syscall.PRIO_PROCESS, 0, 5)
	var e errand
	if err := json.Unmarshal([]byte(text), &e); err != nil {
		return err
	}
	ids.Store(1 << 40) // other traces than the honest sender's
	w := &world{dir: e.Dir, data: e.Data, said: &output{}, process: e.Process}
	for _, p := range w.ports() {
		*p.addr = e.Ports[p.name]
	}
	for _, a := range everyAttack() {
		if a.name != e.Name {
			continue
		}
		n := &tally{}
		saw, err := a.do(context.Background(), w, nil, n)
		o := outcome{Saw: saw, Acked: n.acked.Load(), Rejected: n.rejected.Load(), Refused: n.refused.Load(), Unknown: n.unknown.Load(), Told: n.told.Load(), Withheld: n.dry.Load()}
		if err != nil {
			o.Err = err.Error()
		}
		return json.NewEncoder(os.Stdout).Encode(o)
	}
	return fmt.Errorf("no attack is called %q", e.Name)
}
