package embedded

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// How the user's configuration and the built-in one become one.
//
//   - There is a pipeline of ours, traces/binnacle: the receivers zipkin and jaeger
//     and the exporter binnacle. Receivers that the user configures and that no
//     pipeline of theirs names are added to it.
//   - A receiver of the user's takes the place of ours of the same type, wherever
//     it stands. A pipeline of theirs that is called traces/binnacle takes the place
//     of ours; one without receivers switches it off.
//   - A pipeline for traces that names no exporter gets binnacle. One that names
//     exporters gets what it names.

const (
	exporterName = "binnacle"
	ownPipeline  = "traces/binnacle"
)

// tree is a part of a configuration.
type tree = map[string]any

// merged is the configuration that the Collector runs: user's put together
// with the built-in one. user is not changed.
func merged(user tree) (tree, error) {
	var err error
	section := func(in tree, path, key string) tree {
		v, ok := in[key]
		if !ok || v == nil {
			return tree{}
		}
		t, ok := v.(tree)
		if !ok && err == nil {
			err = fmt.Errorf("collector.%s%s: is %T, want a mapping", path, key, v)
		}
		return maps.Clone(t)
	}
	out := maps.Clone(user)
	if out == nil {
		out = tree{}
	}
	receivers := section(user, "", "receivers")
	exporters := section(user, "", "exporters")
	service := section(user, "", "service")
	pipelines := section(service, "service.", "pipelines")
	if err != nil {
		return nil, err
	}

	used, err := finishPipelines(pipelines)
	if err != nil {
		return nil, err
	}
	own := ownReceivers(receivers, used)
	if _, theirs := pipelines[ownPipeline]; !theirs && len(own) > 0 {
		pipelines[ownPipeline] = tree{"receivers": own, "exporters": []any{exporterName}}
	}
	if p, ok := pipelines[ownPipeline].(tree); ok && len(names(p, "receivers")) == 0 {
		delete(pipelines, ownPipeline)
	}
	exporters[exporterName] = tree{}

	service["pipelines"] = pipelines
	out["receivers"], out["exporters"], out["service"] = receivers, exporters, service
	return out, nil
}

// finishPipelines gives traces pipelines without exporters ours, and returns
// the receivers that the pipelines name.
func finishPipelines(pipelines tree) (used map[string]bool, err error) {
	used = map[string]bool{}
	for name, v := range pipelines {
		p, ok := v.(tree)
		if !ok {
			return nil, fmt.Errorf("collector.service.pipelines.%s: is %T, want a mapping with receivers and exporters", name, v)
		}
		for _, r := range names(p, "receivers") {
			used[r] = true
		}
		if len(names(p, "exporters")) == 0 && kind(name) == "traces" {
			p = maps.Clone(p)
			p["exporters"] = []any{exporterName}
			pipelines[name] = p
		}
	}
	return used, nil
}

// ownReceivers is what our own pipeline receives by: what the user configured
// and did not use, and Zipkin and Jaeger where the user has none.
func ownReceivers(receivers tree, used map[string]bool) (own []any) {
	types := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(receivers)) {
		types[kind(name)] = true
		if !used[name] {
			own = append(own, name)
		}
	}
	for name, config := range map[string]tree{
		"zipkin": {"endpoint": "127.0.0.1:9411"},
		"jaeger": {"protocols": tree{
			"grpc":        tree{"endpoint": "127.0.0.1:14250"},
			"thrift_http": tree{"endpoint": "127.0.0.1:14268"},
		}},
	} {
		if !types[name] {
			receivers[name] = config
			own = append(own, name)
		}
	}
	return own
}

// otlpProtocols says which of the OTLP receiver's protocols the pipelines of a
// merged configuration open; a receiver that none of them names is not run.
func otlpProtocols(config tree) (grpc, http bool) {
	receivers, _ := config["receivers"].(tree)
	service, _ := config["service"].(tree)
	pipelines, _ := service["pipelines"].(tree)
	for _, v := range pipelines {
		p, _ := v.(tree)
		for _, name := range names(p, "receivers") {
			if kind(name) != "otlp" {
				continue
			}
			receiver, _ := receivers[name].(tree)
			protocols, _ := receiver["protocols"].(tree)
			_, opensGRPC := protocols["grpc"]
			_, opensHTTP := protocols["http"]
			grpc, http = grpc || opensGRPC, http || opensHTTP
		}
	}
	return grpc, http
}

// kind is the type of a component or pipeline: the name before the slash.
func kind(name string) string {
	t, _, _ := strings.Cut(name, "/")
	return strings.TrimSpace(t)
}

// names is a list of component names; a wrong form is left for the Collector
// to complain of.
func names(pipeline tree, key string) (out []string) {
	list, _ := pipeline[key].([]any)
	for _, v := range list {
		if s, ok := v.(string); ok {
			out = append(out, s)
		}
	}
	return out
}
