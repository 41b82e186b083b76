package binnacle

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/binnacle-mesh/binnacle/internal/api/jsonout"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

func TestWriteSuspect(t *testing.T) {
	t.Parallel()
	all := []telemetry.Suspect{
		{ID: "shop/pay", Name: "pay", Named: true, Judgement: telemetry.Judgement{Kind: telemetry.AilmentFailing, Since: 1_795_222_800_123_000_000, Says: "pay is failing by itself", Score: 0.5}},
		{ID: "shop/cart", Name: "cart", Judgement: telemetry.Judgement{Kind: telemetry.AilmentSlow, Because: "shop/pay", Says: "cart may be slow because of pay", Score: 0.0421}},
	}
	var j jsonout.Writer
	jsonout.List(&j, all, writeSuspect)
	want := `[{"id":"shop/pay","name":"pay","named":true,"kind":"failing","because":"","says":"pay is failing by itself","score":0.5,"since":1795222800123},` +
		`{"id":"shop/cart","name":"cart","named":false,"kind":"slow","because":"shop/pay","says":"cart may be slow because of pay","score":0.0421}]`
	if diff := cmp.Diff(want, string(j.B)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
