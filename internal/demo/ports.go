package demo

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"
)

// ports are the loopback ports of one member's Envoy.
type ports struct {
	inbound  int
	outbound int // 0 for the gateway
}

// portsNeeded is how many ports allotPorts takes.
func portsNeeded(members []member) int {
	n := 0
	for _, m := range members {
		n++
		if !m.gateway() {
			n++
		}
	}
	return n
}

// allotPorts gives each member its ports, counting up from base, or chosen by the kernel where base is 0. It has held
// every one of them for a moment, so a port in use is found here, by name, and not in the last words of an Envoy.
func allotPorts(members []member, base int) ([]ports, error) {
	var held []net.Listener
	defer func() {
		for _, l := range held {
			l.Close()
		}
	}()
	take := func(purpose string) (int, error) {
		want := 0
		if base != 0 {
			want = base + len(held)
		}
		l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(want))
		if err != nil {
			if errors.Is(err, syscall.EADDRINUSE) {
				return 0, fmt.Errorf("port %d on 127.0.0.1, meant for %s, is in use by another program: end that program (another demo?), "+
					"or move the whole range with another base port (now %d; 0 takes any that are free)", want, purpose, base)
			}
			return 0, fmt.Errorf("try port %d on 127.0.0.1, meant for %s: %w", want, purpose, err)
		}
		held = append(held, l)
		return l.Addr().(*net.TCPAddr).Port, nil
	}
	allotted := make([]ports, len(members))
	for i, m := range members {
		var err error
		if allotted[i].inbound, err = take("what reaches " + m.pod()); err != nil {
			return nil, err
		}
		if m.gateway() {
			continue
		}
		if allotted[i].outbound, err = take("what leaves " + m.pod()); err != nil {
			return nil, err
		}
	}
	return allotted, nil
}
