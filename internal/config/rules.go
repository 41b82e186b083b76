package config

import (
	"fmt"

	"github.com/binnacle-mesh/binnacle/internal/rulefile"
	"github.com/binnacle-mesh/binnacle/quota"
	"github.com/binnacle-mesh/binnacle/quota/rule"
)

// QuotaRules reads the rule files that quota.files names.
func (c *Config) QuotaRules() ([]rule.File, error) {
	read, err := rulefile.Read(c.Quota.Files)
	if err != nil {
		return nil, fmt.Errorf("quota.files: %w", err)
	}
	files := make([]rule.File, len(read))
	for i, f := range read {
		files[i] = rule.File(f)
	}
	return files, nil
}

// CheckFiles checks the files that the configuration names, beyond what
// Validate can see.
func (c *Config) CheckFiles() error {
	files, err := c.QuotaRules()
	if err != nil {
		return err
	}
	if err := quota.Check(c.Quota, files); err != nil {
		return fmt.Errorf("quota.files: %w", err)
	}
	return nil
}
