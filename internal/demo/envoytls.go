package demo

// tlsContext is what both ends of a mutual TLS connection present and trust.
func (s sidecar) tlsContext(peers array) object {
	validation := object{"trusted_ca": object{"inline_string": s.rootPEM}}
	if len(peers) > 0 {
		validation["match_typed_subject_alt_names"] = peers
	}
	return object{
		"tls_certificates": array{object{
			"certificate_chain": object{"inline_string": s.identity.chainPEM},
			"private_key":       object{"inline_string": s.identity.keyPEM},
		}},
		"validation_context": validation,
	}
}

// downstreamTLS demands a certificate of the mesh from whoever calls.
func (s sidecar) downstreamTLS() object {
	return object{
		"name": "envoy.transport_sockets.tls",
		"typed_config": object{
			"@type":                      typeURL + "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
			"require_client_certificate": true,
			"common_tls_context":         s.tlsContext(nil),
		},
	}
}

// upstreamTLS proves this workload's identity, and lets only the one named answer.
func (s sidecar) upstreamTLS(spiffe string) object {
	return object{
		"name": "envoy.transport_sockets.tls",
		"typed_config": object{
			"@type": typeURL + "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
			"common_tls_context": s.tlsContext(array{object{
				"san_type": "URI",
				"matcher":  object{"exact": spiffe},
			}}),
		},
	}
}
