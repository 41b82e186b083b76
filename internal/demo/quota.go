package demo

// What the Envoys in front of quota-bearing services ask, and the rules that answer them.

const (
	quotaDomain  = "shop"
	clientHeader = "x-client-id"
	canaryHeader = "x-canary"
)

// QuotaYAML is the demo's quota file, in the format of envoyproxy/ratelimit. Give it to Binnacle's quota service before
// the mesh starts; without it every request is let through.
func QuotaYAML() []byte {
	return []byte(`# Quotas of the demo mesh (binnacle demo).
domain: shop
descriptors:
  # Who searches how often, by the x-client-id header. The crawler is kept on a short lead.
  - key: client_id
    descriptors:
      - key: path
        value: /search
        rate_limit:
          unit: second
          requests_per_unit: 500
  - key: client_id
    value: crawler
    descriptors:
      - key: path
        value: /search
        rate_limit:
          name: crawler-search
          unit: second
          requests_per_unit: 5
  # Which service may call which, by cluster.
  - key: source_cluster
    descriptors:
      - key: destination_cluster
        rate_limit:
          unit: minute
          requests_per_unit: 60000
`)
}

// rateLimitFilter asks Binnacle. An answer that does not come in time lets the request pass.
func rateLimitFilter() object {
	return object{
		"name": "envoy.filters.http.ratelimit",
		"typed_config": object{
			"@type":                      typeURL + "envoy.extensions.filters.http.ratelimit.v3.RateLimit",
			"domain":                     quotaDomain,
			"timeout":                    "0.1s",
			"enable_x_ratelimit_headers": "DRAFT_VERSION_03",
			"rate_limit_service": object{
				"transport_api_version": "V3",
				"grpc_service":          object{"envoy_grpc": object{"cluster_name": binnacleCluster}},
			},
		},
	}
}

// rateLimitActions are the descriptors sent with each request for an operation: (client_id, path) where the caller named
// itself, and (source_cluster, destination_cluster) always. The path is the operation's template: the :path header would
// bring the query along, and make every search a key of its own.
func rateLimitActions(op operation) array {
	return array{
		object{"actions": array{
			object{"request_headers": object{"header_name": clientHeader, "descriptor_key": "client_id"}},
			object{"generic_key": object{"descriptor_key": "path", "descriptor_value": op.path}},
		}},
		object{"actions": array{
			object{"source_cluster": object{}},
			object{"destination_cluster": object{}},
		}},
	}
}
