package demo

import (
	"errors"
	"fmt"
	"math/rand/v2"
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

// allotPorts gives each member its ports, counting up from base. It has held every one of them for a moment, so a port in
// use is found here, by name, and not in the last words of an Envoy.
//
// For base 0 it tries ranges at random. They lie below those ports that kernels give to outgoing connections: a port
// chosen by the kernel (127.0.0.1:0) is one of them, and until its Envoy listens, any connection may take it again. With
// the hundreds of connections of a mesh that is no rare accident.
func allotPorts(members []member, base int) ([]ports, error) {
	if base != 0 {
		return allotFrom(members, base)
	}
	const lowest, highest, tries = 10000, 20000, 20 // above are the ports of tests
	var err error
	for range tries {
		var allotted []ports
		allotted, err = allotFrom(members, lowest+rand.IntN(highest-lowest-portsNeeded(members)))
		if err == nil {
			return allotted, nil
		}
	}
	return nil, fmt.Errorf("find %d free ports in a row between %d and %d, last of %d tries: %w", portsNeeded(members), lowest, highest, tries, err)
}

func allotFrom(members []member, base int) ([]ports, error) {
	var held []net.Listener
	defer func() {
		for _, l := range held {
			l.Close()
		}
	}()
	take := func(purpose string) (int, error) {
		port := base + len(held)
		l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port)) //nolint:noctx // does not wait for anything
		if errors.Is(err, syscall.EADDRINUSE) {
			return 0, fmt.Errorf("port %d on 127.0.0.1, meant for %s, is in use by another program: end that program (another demo?), "+
				"or move the whole range with another base port (now %d; 0 takes any that are free)", port, purpose, base)
		}
		if err != nil {
			return 0, fmt.Errorf("try port %d on 127.0.0.1, meant for %s: %w", port, purpose, err)
		}
		held = append(held, l)
		return port, nil
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
