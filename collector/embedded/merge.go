package embedded

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// How the user's configuration and the built-in one become one.
//
//   - A section receivers that the user writes is the whole of what is received: the
//     built-in Zipkin and Jaeger are there only where it is left out, and a port that
//     nobody named is never opened beside one that somebody did. An empty one receives nothing.
//     A zipkin or jaeger in it without settings of its own has the built-in one's.
//   - There is a pipeline of ours, traces/binnacle, that ends in the exporter binnacle. The
//     receivers that no pipeline of the user's names are in it. A pipeline of theirs that is
//     called traces/binnacle takes its place; one without receivers switches it off.
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
	if user["receivers"] == nil {
		receivers = builtIn()
	}
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

// builtIn is what is received where the user does not say it.
func builtIn() tree {
	return tree{
		"zipkin": tree{"endpoint": "127.0.0.1:9411"},
		"jaeger": tree{"protocols": tree{
			"grpc":        tree{"endpoint": "127.0.0.1:14250"},
			"thrift_http": tree{"endpoint": "127.0.0.1:14268"},
		}},
	}
}

// ownReceivers is what our own pipeline receives by: what no other does. Built-in
// receivers that are named without settings get theirs.
func ownReceivers(receivers tree, used map[string]bool) (own []any) {
	settings := builtIn()
	for _, name := range slices.Sorted(maps.Keys(receivers)) {
		if known, ok := settings[kind(name)]; ok && receivers[name] == nil {
			receivers[name] = known
		}
		if !used[name] {
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
