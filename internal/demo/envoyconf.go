package demo

import (
	"encoding/json"
	"fmt"
	"strings"
)

// An Envoy's configuration is built as plain JSON values: it is a document for another program, and reads best in the
// shape in which Envoy's own reference describes it.
type (
	object = map[string]any
	array  = []any
)

// sidecar is all that the configuration of one Envoy depends on.
type sidecar struct {
	workload workload
	mesh     string // host:port of Binnacle's mesh port
	identity identity
	rootPEM  string

	inbound  int // port on which callers' Envoys reach this one
	outbound int // port on which its own service reaches it; 0 for a gateway, which has no service
	app      int // port of its own service; 0 for a gateway

	upstreams []upstream

	untraced bool // it makes no spans
}

// upstream is a peer that this Envoy may call.
type upstream struct {
	cluster   string // Envoy's cluster name
	authority string // Host by which the service asks for it
	canary    string // value of the x-canary header that selects it; empty for the default
	ports     []int  // loopback ports of its pods' inbound listeners
	spiffe    string // identity the peer must prove; empty for plain text
	rpc       bool   // the peer speaks gRPC
}

const (
	typeURL = "type.googleapis.com/"

	// binnacleCluster is the one cluster that an Envoy needs for spans, access logs and quotas.
	binnacleCluster = "binnacle"

	// flushMillis is how long an Envoy keeps spans and log entries before it sends them. Envoy's own default for spans
	// is 5 s, which would make every live view lag by as much.
	flushMillis = 200
)

// bootstrap is the whole configuration of the Envoy, as JSON.
func (s sidecar) bootstrap() ([]byte, error) {
	listeners := array{s.inboundListener()}
	if s.outbound != 0 {
		listeners = append(listeners, s.outboundListener())
	}
	clusters := array{s.binnacle()}
	if s.app != 0 {
		c := staticCluster(inboundCluster, s.app)
		if s.workload.rpc {
			c["typed_extension_protocol_options"] = http2Options()
		}
		clusters = append(clusters, c)
	}
	for _, u := range s.upstreams {
		c := staticCluster(u.cluster, u.ports...)
		if u.rpc {
			c["typed_extension_protocol_options"] = http2Options()
		}
		if u.spiffe != "" {
			c["transport_socket"] = s.upstreamTLS(u.spiffe)
		}
		clusters = append(clusters, c)
	}
	out, err := json.Marshal(object{
		"node":             s.node(),
		"static_resources": object{"listeners": listeners, "clusters": clusters},
		"layered_runtime": object{"layers": array{object{
			"name": "demo",
			"static_layer": object{
				"tracing.opentelemetry.flush_interval_ms": flushMillis,
				"tracing.opentelemetry.min_flush_spans":   64,
			},
		}}},
		// Statistics nobody reads cost memory sixteen times over.
		"stats_config": object{"stats_matcher": object{"reject_all": true}},
	})
	if err != nil {
		return nil, fmt.Errorf("encode the configuration of %s's Envoy: %w", s.workload.pod(), err)
	}
	return out, nil
}

// node is how the Envoy introduces itself, in Istio's shape.
func (s sidecar) node() object {
	w := s.workload
	role := "sidecar"
	if s.app == 0 {
		role = "router"
	}
	return object{
		"id":      fmt.Sprintf("%s~127.0.0.1~%s.%s~%s.svc.cluster.local", role, w.pod(), w.namespace, w.namespace),
		"cluster": w.service + "." + w.namespace,
		"metadata": object{
			"NAME":            w.pod(),
			"NAMESPACE":       w.namespace,
			"WORKLOAD_NAME":   w.name(),
			"SERVICE_ACCOUNT": w.service,
			"MESH_ID":         trustDomain,
			"LABELS":          object{"app": w.service, "version": w.version},
		},
	}
}

const inboundCluster = "inbound|9080||"

// inboundListener takes what callers send. In front of a service it passes everything on to it; at a gateway it routes
// to the upstreams.
func (s sidecar) inboundListener() object {
	direction, hosts := "INBOUND", array{}
	if s.app == 0 {
		// As in Istio, a gateway's listener counts as outbound: what it logs are calls that it makes.
		direction = "OUTBOUND"
		hosts = s.upstreamHosts()
	} else {
		hosts = append(hosts, object{"name": inboundCluster, "domains": array{"*"}, "routes": s.inboundRoutes()})
	}
	l := s.listener("inbound", direction, s.inbound, hosts)
	if s.workload.mtls {
		chain := l["filter_chains"].(array)[0].(object)
		chain["transport_socket"] = s.downstreamTLS()
	}
	return l
}

// outboundListener takes what the service itself sends, and routes it by host.
func (s sidecar) outboundListener() object {
	return s.listener("outbound", "OUTBOUND", s.outbound, s.upstreamHosts())
}

// inboundRoutes has one route an operation, so that spans are named by the template and not by the path.
func (s sidecar) inboundRoutes() array {
	routes := array{}
	for _, op := range s.workload.operations {
		match := object{"path": op.path}
		if strings.Contains(op.path, "{") {
			match = object{"safe_regex": object{"regex": pathRegex(op.path)}}
		}
		match["headers"] = array{object{"name": ":method", "string_match": object{"exact": op.httpMethod()}}}
		to := object{"cluster": inboundCluster, "timeout": "10s"}
		if s.workload.quota {
			to["rate_limits"] = rateLimitActions(op)
		}
		routes = append(routes, object{
			"name":      op.name(),
			"match":     match,
			"route":     to,
			"decorator": object{"operation": op.name()},
		})
	}
	return append(routes, object{
		"name":  "default",
		"match": object{"prefix": "/"},
		"route": object{"cluster": inboundCluster, "timeout": "10s"},
	})
}

// upstreamHosts has one virtual host an authority; a canary's route stands before the default's.
func (s sidecar) upstreamHosts() array {
	var order []string
	routes := map[string]array{}
	for _, u := range s.upstreams {
		r := object{
			"name":  "default",
			"match": object{"prefix": "/"},
			"route": object{"cluster": u.cluster, "timeout": "10s"},
		}
		if _, seen := routes[u.authority]; !seen {
			order = append(order, u.authority)
		}
		if u.canary == "" {
			routes[u.authority] = append(routes[u.authority], r)
			continue
		}
		r["name"] = u.canary
		r["match"].(object)["headers"] = array{object{"name": canaryHeader, "string_match": object{"exact": u.canary}}}
		routes[u.authority] = append(array{r}, routes[u.authority]...)
	}
	hosts := array{}
	for _, authority := range order {
		domains := array{authority}
		if s.app == 0 {
			domains = array{"*"} // whatever name the shop's customers use
		}
		hosts = append(hosts, object{"name": authority, "domains": domains, "routes": routes[authority]})
	}
	return hosts
}

func (s sidecar) listener(name, direction string, port int, hosts array) object {
	filters := array{}
	if name == "inbound" && s.workload.quota {
		filters = append(filters, rateLimitFilter())
	}
	filters = append(filters, object{
		"name":         "envoy.filters.http.router",
		"typed_config": object{"@type": typeURL + "envoy.extensions.filters.http.router.v3.Router"},
	})
	manager := object{
		"@type":        typeURL + "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
		"stat_prefix":  name,
		"codec_type":   "AUTO",
		"route_config": object{"name": name, "virtual_hosts": hosts},
		"http_filters": filters,
		"access_log":   array{accessLog()},
	}
	if !s.untraced {
		manager["tracing"] = s.tracing()
	}
	if name == "inbound" && s.workload.mtls {
		// The service, and the log, may know who called.
		manager["forward_client_cert_details"] = "SANITIZE_SET"
		manager["set_current_client_cert_details"] = object{"uri": true}
	}
	return object{
		"name":              name,
		"traffic_direction": direction,
		// Without this a second Envoy on the same port would not fail: the two would share what comes.
		"enable_reuse_port": false,
		"address":           socketAddress("127.0.0.1", port),
		"filter_chains": array{object{"filters": array{object{
			"name":         "envoy.filters.network.http_connection_manager",
			"typed_config": manager,
		}}}},
	}
}

// tracing sends every request's span to Binnacle. A gateway makes two: the request it got, and the call it makes.
func (s sidecar) tracing() object {
	return object{
		"random_sampling":     object{"value": 100},
		"spawn_upstream_span": s.app == 0,
		"provider": object{
			"name": "envoy.tracers.opentelemetry",
			"typed_config": object{
				"@type":        typeURL + "envoy.config.trace.v3.OpenTelemetryConfig",
				"service_name": s.workload.service,
				"grpc_service": object{"envoy_grpc": object{"cluster_name": binnacleCluster}, "timeout": "10s"},
				"resource_detectors": array{object{
					"name":         "envoy.tracers.opentelemetry.resource_detectors.environment",
					"typed_config": object{"@type": typeURL + "envoy.extensions.tracers.opentelemetry.resource_detectors.v3.EnvironmentResourceDetectorConfig"},
				}},
			},
		},
	}
}

// accessLog streams an entry for each request to Binnacle, with the headers by which it meets the request's span.
func accessLog() object {
	return object{
		"name": "envoy.access_loggers.http_grpc",
		"typed_config": object{
			"@type": typeURL + "envoy.extensions.access_loggers.grpc.v3.HttpGrpcAccessLogConfig",
			"common_config": object{
				"log_name":              "http_envoy_accesslog",
				"transport_api_version": "V3",
				"grpc_service":          object{"envoy_grpc": object{"cluster_name": binnacleCluster}},
				"buffer_flush_interval": "0.2s",
			},
			"additional_request_headers_to_log": array{"traceparent", "x-request-id", "content-type", "x-forwarded-client-cert", clientHeader},
			// How a gRPC call ended is told at its end, or with the headers when it has no body.
			"additional_response_headers_to_log":  array{"grpc-status"},
			"additional_response_trailers_to_log": array{"grpc-status"},
		},
	}
}

// binnacle is the cluster of Binnacle's mesh port.
func (s sidecar) binnacle() object {
	host, port := splitHostPort(s.mesh)
	return object{
		"name":            binnacleCluster,
		"type":            "STATIC",
		"connect_timeout": "1s",
		"load_assignment": object{"cluster_name": binnacleCluster, "endpoints": array{object{"lb_endpoints": array{
			object{"endpoint": object{"address": socketAddress(host, port)}},
		}}}},
		"typed_extension_protocol_options": http2Options(),
	}
}

// http2Options make a cluster speak HTTP/2 from the first byte, as gRPC wants it.
func http2Options() object {
	const options = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
	return object{options: object{
		"@type":                typeURL + options,
		"explicit_http_config": object{"http2_protocol_options": object{}},
	}}
}

func staticCluster(name string, ports ...int) object {
	endpoints := array{}
	for _, port := range ports {
		endpoints = append(endpoints, object{"endpoint": object{"address": socketAddress("127.0.0.1", port)}})
	}
	return object{
		"name":            name,
		"type":            "STATIC",
		"connect_timeout": "5s",
		"load_assignment": object{"cluster_name": name, "endpoints": array{object{"lb_endpoints": endpoints}}},
	}
}

func socketAddress(host string, port int) object {
	return object{"socket_address": object{"address": host, "port_value": port}}
}
