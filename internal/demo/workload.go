package demo

import (
	"net"
	"strconv"
	"strings"
)

// workload is one deployment: a version of a service, or the gateway.
type workload struct {
	service, namespace, version string
	replica                     int
	mtls, plain, quota, rpc     bool
	operations                  []operation
}

// name is what Kubernetes would call the deployment.
func (w workload) name() string { return w.service + "-" + w.version }

// pod is the pod of the deployment that this is.
func (w workload) pod() string { return w.name() + "-" + strconv.Itoa(w.replica) }

// host is the service's name in the mesh.
func (w workload) host() string { return w.service + "." + w.namespace + ".svc.cluster.local" }

// authority is how a caller asks for the service.
func (w workload) authority() string { return w.host() + ":" + strconv.Itoa(servicePort) }

// cluster is how callers' Envoys name the way to it.
func (w workload) cluster() string {
	if w.plain {
		return w.service
	}
	return "outbound|" + strconv.Itoa(servicePort) + "|" + w.version + "|" + w.host()
}

// resource is what every span of the workload says of it, as OTEL_RESOURCE_ATTRIBUTES has it.
func (w workload) resource() string {
	return strings.Join([]string{
		"service.namespace=" + w.namespace,
		"service.version=" + w.version,
		"service.instance.id=" + w.pod(),
		"k8s.namespace.name=" + w.namespace,
		"k8s.deployment.name=" + w.name(),
		"k8s.pod.name=" + w.pod(),
	}, ",")
}

// name is what the operation's spans are called.
func (o operation) name() string {
	if o.method == rpcMethod {
		return o.path[1:]
	}
	return o.method + " " + o.path
}

// httpMethod is what the request line says.
func (o operation) httpMethod() string {
	if o.method == rpcMethod {
		return "POST"
	}
	return o.method
}

// callee names the service or host that the step calls, and the operation there; both empty for other steps.
func (s step) callee() (name, operation string) {
	name, operation, _ = strings.Cut(s.call, " ")
	return name, operation
}

// taken tells whether an operation of this version takes the step.
func (s step) taken(version string) bool { return s.version == "" || s.version == version }

// pathRegex matches the paths of a template: each {placeholder} stands for anything but a slash.
func pathRegex(template string) string {
	parts := strings.Split(template, "/")
	for i, part := range parts {
		if strings.HasPrefix(part, "{") {
			parts[i] = "[^/]+"
		}
	}
	return strings.Join(parts, "/")
}

// fits tells whether a request is for the operation.
func (o operation) fits(method, path string) bool {
	if method != o.method {
		return false
	}
	want, have := strings.Split(o.path, "/"), strings.Split(path, "/")
	if len(want) != len(have) {
		return false
	}
	for i := range want {
		if want[i] != have[i] && !strings.HasPrefix(want[i], "{") {
			return false
		}
	}
	return true
}

// splitHostPort takes an address that Config.Validate has passed.
func splitHostPort(address string) (string, int) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return address, 0
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		return host, 0
	}
	return host, n
}
