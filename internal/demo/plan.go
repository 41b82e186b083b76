package demo

import "slices"

// member is one workload of the mesh with all that it needs to take part.
type member struct {
	workload
	calls   []call               // whom its Envoy may reach
	process map[string]operation // what it does with messages, by queue
}

// call is one way out of a member's Envoy.
type call struct {
	target workload // zero for an external host
	canary bool     // taken only by requests that ask for this version
	host   string   // external host
}

// plan lays the shop out as workloads, the gateway first.
func plan(s shop) []member {
	front := s.services[0]
	members := []member{{
		workload: workload{service: gatewayName, namespace: gatewayNamespace, version: "v1"},
		calls:    []call{{target: front.workload(front.versions[0])}},
	}}
	for _, service := range s.services {
		for _, version := range service.versions {
			m := member{workload: service.workload(version), process: map[string]operation{}}
			operations := slices.Clone(service.operations)
			for _, q := range s.queues {
				if q.consumer == service.name {
					m.process[q.name] = q.process
					operations = append(operations, q.process)
				}
			}
			m.calls = s.callsOf(operations, version)
			for m.replica = range max(1, service.replicas) {
				members = append(members, m)
			}
		}
	}
	return members
}

// callsOf lists every peer that operations of this version may call, each once.
func (s shop) callsOf(operations []operation, version string) []call {
	var calls []call
	seen := map[string]bool{}
	for _, op := range operations {
		for _, step := range op.steps {
			name, _ := step.callee()
			if name == "" || seen[name] || !step.taken(version) {
				continue
			}
			seen[name] = true
			if target, ok := s.service(name); ok {
				for i, v := range target.versions {
					calls = append(calls, call{target: target.workload(v), canary: i > 0})
				}
				continue
			}
			calls = append(calls, call{host: name})
		}
	}
	return calls
}

func (s shop) service(name string) (service, bool) {
	i := slices.IndexFunc(s.services, func(c service) bool { return c.name == name })
	if i < 0 {
		return service{}, false
	}
	return s.services[i], true
}

func (s shop) database(address string) (database, bool) {
	i := slices.IndexFunc(s.databases, func(d database) bool { return d.address == address })
	if i < 0 {
		return database{}, false
	}
	return s.databases[i], true
}

func (s shop) queue(name string) (queue, bool) {
	i := slices.IndexFunc(s.queues, func(q queue) bool { return q.name == name })
	if i < 0 {
		return queue{}, false
	}
	return s.queues[i], true
}

func (s service) workload(version string) workload {
	return workload{
		service: s.name, namespace: s.namespace, version: version,
		mtls: s.mtls, plain: s.plain, quota: s.quota, rpc: s.rpc, operations: s.operations,
	}
}

// gateway tells whether the member has an Envoy only.
func (m member) gateway() bool { return m.service == gatewayName }
