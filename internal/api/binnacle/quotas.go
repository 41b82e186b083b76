package binnacle

// Quotas is the body of GET /api/v1/quotas (docs/api/http.md).
type Quotas struct {
	Generation int          `json:"generation"` // counts loadings of the rule files that succeeded
	LoadedAt   int64        `json:"loaded_at"`  // Unix ms
	Error      string       `json:"error"`      // why the newest files were refused
	Counter    QuotaCounter `json:"counter"`
	Files      []QuotaFile  `json:"files"`
	Rules      []QuotaRule  `json:"rules"`
}

// QuotaCounter is an outage of the counters that decisions need; empty where they could be reached when last asked.
type QuotaCounter struct {
	Error    string `json:"error"`     // of the latest decision that could not be counted
	FailedAt int64  `json:"failed_at"` // Unix ms, to a second
	Fallback string `json:"fallback"`  // what then is answered where rules have no word of their own: error, allow, deny or local
}

// QuotaFile is one rule file.
type QuotaFile struct {
	Name   string `json:"name"`
	Domain string `json:"domain"`
}

// QuotaRule is one rule and what became of requests under it.
type QuotaRule struct {
	ID              string         `json:"id"`
	Domain          string         `json:"domain"`
	Descriptor      string         `json:"descriptor"`
	Name            string         `json:"name"`
	Unit            string         `json:"unit"`
	RequestsPerUnit uint32         `json:"requests_per_unit"`
	Unlimited       bool           `json:"unlimited"`
	ShadowMode      bool           `json:"shadow_mode"`
	QuotaMode       bool           `json:"quota_mode"`
	Decisions       QuotaDecisions `json:"decisions"`
	Rates           QuotaRates     `json:"rates"`
	ActiveKeys      int            `json:"active_keys"` // with hits in a window that has not ended
	Top             []QuotaKey     `json:"top"`
}

// QuotaDecisions counts decisions since the rule was first loaded. Total is OK + OverLimit + Shadow + Failed.
type QuotaDecisions struct {
	Total     uint64 `json:"total"`
	OK        uint64 `json:"ok"`
	OverLimit uint64 `json:"over_limit"`
	NearLimit uint64 `json:"near_limit"` // of OK
	Shadow    uint64 `json:"shadow"`     // passed, but would have been refused without shadow_mode
	Failed    uint64 `json:"failed"`     // without a counter, by the fallback
}

// QuotaRates is decisions a second over the last ten seconds.
type QuotaRates struct {
	OK        float64 `json:"ok"`
	OverLimit float64 `json:"over_limit"`
}

// QuotaKey is one key under a rule.
type QuotaKey struct {
	Key         string  `json:"key"`
	Used        uint64  `json:"used"` // of Limit, in the current window
	Limit       uint64  `json:"limit"`
	Limited     uint64  `json:"limited"`      // refusals since the key came to notice
	LimitedRate float64 `json:"limited_rate"` // refusals a second over the last minute
	ResetsIn    int64   `json:"resets_in"`    // ms until the window ends; 0 where the request brought its own window
}
