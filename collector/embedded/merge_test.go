package embedded

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMerged(t *testing.T) {
	t.Parallel()
	pipelines := func(user tree) map[string]string {
		config, err := merged(user)
		if err != nil {
			t.Fatal(err)
		}
		out := map[string]string{}
		for name, p := range config["service"].(tree)["pipelines"].(tree) {
			receivers := names(p.(tree), "receivers")
			out[name] = fmt.Sprint(strings.Join(receivers, " "), " > ", strings.Join(names(p.(tree), "exporters"), " "))
			for _, r := range receivers {
				if _, ok := config["receivers"].(tree)[r]; !ok {
					t.Errorf("%s names %s, which is not configured", name, r)
				}
			}
		}
		return out
	}
	zipkinPipeline := tree{"receivers": []any{"zipkin"}}
	for name, c := range map[string]struct {
		user tree
		want map[string]string
	}{
		"nothing":                    {nil, map[string]string{"traces/binnacle": "jaeger zipkin > binnacle"}},
		"a section without a word":   {tree{"receivers": nil}, map[string]string{"traces/binnacle": "jaeger zipkin > binnacle"}},
		"zipkin alone":               {tree{"receivers": tree{"zipkin": tree{"endpoint": "127.0.0.1:1"}}}, map[string]string{"traces/binnacle": "zipkin > binnacle"}},
		"one of another kind":        {tree{"receivers": tree{"otlp": nil}}, map[string]string{"traces/binnacle": "otlp > binnacle"}},
		"one under another name":     {tree{"receivers": tree{"zipkin/mine": nil}}, map[string]string{"traces/binnacle": "zipkin/mine > binnacle"}},
		"nothing received":           {tree{"receivers": tree{}}, map[string]string{}},
		"a pipeline beside":          {tree{"receivers": tree{"zipkin": nil, "jaeger": nil}, "service": tree{"pipelines": tree{"traces": zipkinPipeline}}}, map[string]string{"traces": "zipkin > binnacle", "traces/binnacle": "jaeger > binnacle"}},
		"a built-in one in use":      {tree{"service": tree{"pipelines": tree{"traces": zipkinPipeline}}}, map[string]string{"traces": "zipkin > binnacle", "traces/binnacle": "jaeger > binnacle"}},
		"exporters named":            {tree{"exporters": tree{"otlp": nil}, "service": tree{"pipelines": tree{"traces/x": tree{"receivers": []any{"zipkin"}, "exporters": []any{"otlp", "binnacle"}}}}}, map[string]string{"traces/x": "zipkin > otlp binnacle", "traces/binnacle": "jaeger > binnacle"}},
		"ours replaced":              {tree{"receivers": tree{"zipkin": nil}, "service": tree{"pipelines": tree{"traces/binnacle": zipkinPipeline}}}, map[string]string{"traces/binnacle": "zipkin > binnacle"}},
		"ours switched off":          {tree{"service": tree{"pipelines": tree{"traces/binnacle": tree{}}}}, map[string]string{}},
		"no pipeline but for logs":   {tree{"receivers": tree{"otlp": nil}, "service": tree{"pipelines": tree{"logs": tree{"receivers": []any{"otlp"}}}}}, map[string]string{"logs": "otlp > "}},
		"processors in front of all": {tree{"processors": tree{"batch": nil}, "service": tree{"pipelines": tree{"traces": tree{"receivers": []any{"zipkin", "jaeger"}, "processors": []any{"batch"}}}}}, map[string]string{"traces": "zipkin jaeger > binnacle"}},
	} {
		if diff := cmp.Diff(c.want, pipelines(c.user)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// A receiver that is named without a word has the built-in one's settings.
func TestNamedWithoutSettings(t *testing.T) {
	t.Parallel()
	config, err := merged(tree{"receivers": tree{"jaeger": nil, "otlp": nil}})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(tree{"jaeger": builtIn()["jaeger"], "otlp": nil}, config["receivers"]); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
