package app

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/binnacle-mesh/binnacle/quota"
)

// TestQuotasJSON holds the body of GET /api/v1/quotas, as docs/api/http.md has it, for what quota's own TestStatus finds.
func TestQuotasJSON(t *testing.T) {
	t.Parallel()
	status := quota.Status{
		Generation: 1, LoadedAt: time.Unix(0, 0), Counter: quota.CounterStatus{Fallback: "error"},
		Files: []quota.FileStatus{{Name: "rules.yaml", Domain: "shop"}},
		Rules: []quota.RuleStatus{
			{
				ID: "shop/client_id/path_/checkout", Domain: "shop", Descriptor: "client_id / path=/checkout", Unit: "minute", RequestsPerUnit: 60,
				Decisions:  quota.DecisionsStatus{Total: 132, OK: 72, OverLimit: 60, NearLimit: 12},
				Rates:      quota.RatesStatus{OK: 5, OverLimit: 6},
				ActiveKeys: 2,
				Top: []quota.KeyStatus{
					{Key: "client_id=mobile, path=/checkout", Used: 60, Limit: 60, Limited: 60, LimitedRate: 1, ResetsIn: 48000 * time.Millisecond},
					{Key: "client_id=web, path=/checkout", Used: 12, Limit: 60, ResetsIn: 48000 * time.Millisecond},
				},
			},
			{
				ID: "shop/quiet", Domain: "shop", Descriptor: "quiet", Name: "q", Unit: "hour", RequestsPerUnit: 1, ShadowMode: true,
				Decisions:  quota.DecisionsStatus{Total: 2, OK: 1, NearLimit: 1, Shadow: 1},
				Rates:      quota.RatesStatus{OK: 0.1},
				ActiveKeys: 1,
				Top: []quota.KeyStatus{
					{Key: "quiet=x", Used: 1, Limit: 1, Limited: 1, LimitedRate: 1, ResetsIn: 2748000 * time.Millisecond},
				},
			},
			{
				ID: "shop/free", Domain: "shop", Descriptor: "free", Unlimited: true,
				Decisions: quota.DecisionsStatus{Total: 1, OK: 1},
				Rates:     quota.RatesStatus{OK: 0.1},
				Top:       []quota.KeyStatus{},
			},
		},
	}
	b, err := json.MarshalIndent(quotas(status), "", " ")
	if err != nil {
		t.Fatal(err)
	}
	const want = `{
 "generation": 1,
 "loaded_at": 0,
 "error": "",
 "counter": {
  "error": "",
  "failed_at": 0,
  "fallback": "error"
 },
 "files": [
  {
   "name": "rules.yaml",
   "domain": "shop"
  }
 ],
 "rules": [
  {
   "id": "shop/client_id/path_/checkout",
   "domain": "shop",
   "descriptor": "client_id / path=/checkout",
   "name": "",
   "unit": "minute",
   "requests_per_unit": 60,
   "unlimited": false,
   "shadow_mode": false,
   "quota_mode": false,
   "decisions": {
    "total": 132,
    "ok": 72,
    "over_limit": 60,
    "near_limit": 12,
    "shadow": 0,
    "failed": 0
   },
   "rates": {
    "ok": 5,
    "over_limit": 6
   },
   "active_keys": 2,
   "top": [
    {
     "key": "client_id=mobile, path=/checkout",
     "used": 60,
     "limit": 60,
     "limited": 60,
     "limited_rate": 1,
     "resets_in": 48000
    },
    {
     "key": "client_id=web, path=/checkout",
     "used": 12,
     "limit": 60,
     "limited": 0,
     "limited_rate": 0,
     "resets_in": 48000
    }
   ]
  },
  {
   "id": "shop/quiet",
   "domain": "shop",
   "descriptor": "quiet",
   "name": "q",
   "unit": "hour",
   "requests_per_unit": 1,
   "unlimited": false,
   "shadow_mode": true,
   "quota_mode": false,
   "decisions": {
    "total": 2,
    "ok": 1,
    "over_limit": 0,
    "near_limit": 1,
    "shadow": 1,
    "failed": 0
   },
   "rates": {
    "ok": 0.1,
    "over_limit": 0
   },
   "active_keys": 1,
   "top": [
    {
     "key": "quiet=x",
     "used": 1,
     "limit": 1,
     "limited": 1,
     "limited_rate": 1,
     "resets_in": 2748000
    }
   ]
  },
  {
   "id": "shop/free",
   "domain": "shop",
   "descriptor": "free",
   "name": "",
   "unit": "",
   "requests_per_unit": 0,
   "unlimited": true,
   "shadow_mode": false,
   "quota_mode": false,
   "decisions": {
    "total": 1,
    "ok": 1,
    "over_limit": 0,
    "near_limit": 0,
    "shadow": 0,
    "failed": 0
   },
   "rates": {
    "ok": 0.1,
    "over_limit": 0
   },
   "active_keys": 0,
   "top": []
  }
 ]
}`
	if diff := cmp.Diff(want, string(b)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
