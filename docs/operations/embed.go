// Package operations holds the operator's pages, and gives the server those of
// them that it serves.
package operations

import _ "embed"

// ConfigSchema is the JSON Schema of the configuration file. It is generated:
// see internal/config/schemagen.
//
//go:embed config.schema.json
var ConfigSchema []byte
