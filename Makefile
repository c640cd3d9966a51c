# Gameday. `make help` lists the targets; each is documented by the `##` comment on its line.

export CGO_ENABLED := 0
GO       ?= go
BIN      := $(CURDIR)/bin
BINARIES := gameday gameday-cluster gameday-pod gameday-mysql gameday-dns gameday-prometheus
# Kubernetes is linked into one binary: without debug information the link takes half the time and the file half the space.
LDFLAGS  := -s -w
# gameday itself says which revision it is, also where Go is told not to look (GOFLAGS=-buildvcs=false). The others do not: a
# commit must not link Kubernetes again.
CLI      := github.com/gameday-bench/gameday/cmd/internal/cli
REVISION = $(if $(COMMIT),-X $(CLI).buildVersion=$(VERSION) -X $(CLI).buildCommit=$(COMMIT) -X $(CLI).buildDate=$(DATE) -X $(CLI).buildModified=$(MODIFIED))
COMMIT   = $(shell git rev-parse HEAD 2>/dev/null)
VERSION  = $(or $(shell git describe --tags --match 'v*' 2>/dev/null),devel)
DATE     = $(shell TZ=UTC git show -s --date=format-local:%Y-%m-%dT%H:%M:%SZ --format=%cd HEAD 2>/dev/null)
MODIFIED = $(if $(shell git status --porcelain 2>/dev/null),true,false)
# Tests of whole clusters start dozens of processes each: two packages at a time, on small machines too.
TEST_FLAGS ?= -p 2 -timeout 25m -ldflags '-s -w'
# -race needs cgo; packages that link Kubernetes are left out (they would be compiled anew for ten minutes).
RACE_PACKAGES = $(shell $(GO) list ./... | grep -v -e /cmd/gameday-cluster -e /embedded/controlplane -e /embedded/node -e /e2e)
GOLANGCI_VERSION := v2.15.0
GOLANGCI := $(CURDIR)/.cache/golangci-lint-$(GOLANGCI_VERSION)

.DEFAULT_GOAL := help

.PHONY: help
help: ## List the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z0-9-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

##@ Build

.PHONY: build
build: ## Build every binary into bin/ (the first build compiles Kubernetes: 5 to 10 minutes on 2 cores)
	@mkdir -p $(BIN)
	@for name in $(BINARIES); do \
	  echo "building bin/$$name"; \
	  extra=; [ $$name != gameday ] || extra='$(REVISION)'; \
	  $(GO) build -ldflags "$(LDFLAGS) $$extra" -o $(BIN)/$$name ./cmd/$$name || exit 1; \
	done

.PHONY: install
install: build ## Install the binaries, side by side, into $GOBIN or $GOPATH/bin
	@dir=$$($(GO) env GOBIN); dir=$${dir:-$$($(GO) env GOPATH)/bin}; mkdir -p $$dir; \
	for name in $(BINARIES); do install -m 0755 $(BIN)/$$name $$dir/$$name; done; echo "installed into $$dir"

.PHONY: generate
generate: ## Generate code: protobuf, custom resource definitions
	$(GO) generate ./...

.PHONY: kindnode
kindnode: bin/kindnode ## Make a node image for kind, and Chaos Mesh's images, where no registry answers (ARGS="-fresh"); as root, with a Docker daemon (bin/kindnode dockerd start), 30 minutes at first
	$(BIN)/kindnode build $(ARGS)

.PHONY: bin/kindnode
bin/kindnode:
	@mkdir -p $(BIN)
	cd hack/kindnode && $(GO) build -ldflags '$(LDFLAGS)' -o $(BIN)/kindnode .

##@ Test

.PHONY: test
test: build ## Run all tests, also those on a whole cluster
	GAMEDAY_BIN_DIR=$(BIN) $(GO) test $(TEST_FLAGS) ./...
	GAMEDAY_BIN_DIR=$(BIN) $(GO) test $(TEST_FLAGS) -tags trials -run TestTrials ./cmd/gameday

.PHONY: test-short
test-short: ## Run the tests that need no cluster
	$(GO) test -short $(TEST_FLAGS) ./...

.PHONY: test-kindnode
test-kindnode: ## Run the tests of hack/kindnode, which is a module of its own
	cd hack/kindnode && $(GO) test -ldflags '-s -w' ./...

.PHONY: test-conformance
test-conformance: ## Run the tests of hack/conformance, which is a module of its own
	cd hack/conformance && $(GO) test -ldflags '-s -w' ./...

.PHONY: test-race
test-race: ## Run the tests that need no cluster under the race detector
	CGO_ENABLED=1 $(GO) test -race -short -timeout 25m $(RACE_PACKAGES)

.PHONY: check
check: build ## Prove every problem of the catalogue: gameday check problem, (a) to (i)
	$(BIN)/gameday check problem $$($(BIN)/gameday get problems -o name)

.PHONY: kill
kill: build ## Kill the parent, the control plane and a node at random moments of a run (SEED=N, ROUNDS=5), and see what is left
	GAMEDAY_BIN_DIR=$(BIN) $(GO) run ./hack/kill -seed $(or $(SEED),1) -rounds $(or $(ROUNDS),5)

.PHONY: conformance
conformance: build ## Run Kubernetes' conformance tests (CLUSTERS=1, PROCS=4, ARGS=...) and write docs/conformance.md; the first build takes long
	cd hack/conformance && $(GO) build -ldflags '$(LDFLAGS) -X k8s.io/component-base/version.gitVersion=v1.35.4' -o $(BIN)/conformance/ \
	  . github.com/onsi/ginkgo/v2/ginkgo k8s.io/kubernetes/cmd/kubectl
	cd hack/conformance && $(GO) build -ldflags '$(LDFLAGS) -X k8s.io/component-base/version.gitVersion=v1.35.4' -o $(BIN)/gameday-samples ./samples
	cd hack/conformance && $(GO) test -c -vet=off -ldflags '$(LDFLAGS)' -o $(BIN)/conformance/e2e.test k8s.io/kubernetes/test/e2e
	GAMEDAY_PROGRAMS=$(BIN)/gameday-samples $(BIN)/conformance/conformance -tools $(BIN)/conformance -gameday $(BIN)/gameday \
	  -work .cache/conformance -lists hack/conformance -report docs/conformance.md -clusters $(or $(CLUSTERS),1) -procs $(or $(PROCS),4) $(ARGS)

.PHONY: e2e-kind
e2e-kind: build ## Test on kind clusters, as much as fits into BUDGET=45 minutes, 0 for all (ARGS="-run TestE2E/partition"); without a registry a node image is built first
	GAMEDAY_BIN_DIR=$(BIN) GAMEDAY_E2E_BUDGET=$(or $(BUDGET),45) hack/e2e-kind.sh $(ARGS)

# The runs of agreement are kept here; it compares EMBEDDED with KIND.
RUNS     := $(CURDIR)/.cache/agreement
EMBEDDED ?= $(RUNS)/embedded
KIND     ?= $(RUNS)/kind

.PHONY: agreement
agreement: build $(EMBEDDED)/summary.json $(KIND)/summary.json ## Compare the smoke suite on embedded and on kind and write docs/agreement.md: an hour, seconds where both runs are in .cache/agreement
	$(GO) run ./hack/agreement -causes hack/agreement/causes.yaml -report docs/agreement.md $(EMBEDDED) $(KIND)

$(RUNS)/embedded/summary.json:
	rm -rf $(RUNS)/embedded
	$(BIN)/gameday run smoke --agent oracle --agent nop --agent playbook --out $(RUNS) --run-id embedded

$(RUNS)/kind/summary.json:
	GAMEDAY_BIN_DIR=$(BIN) GAMEDAY_E2E_RUNS=$(RUNS) GAMEDAY_E2E_BUDGET=0 hack/e2e-kind.sh -run TestAgreement

.PHONY: soak
soak: build ## Look for what grows: 200 clusters one after the other, then one under load for an hour (ARGS="-cycles N -load 10m")
	GAMEDAY_BIN_DIR=$(BIN) $(GO) run ./hack/soak $(ARGS)

.PHONY: bench
bench: build ## Measure and print the table of docs/benchmarks.md, in 3 to 4 hours (ARGS="-only smoke,kills -out DIR -json FILE", or "-cluster kind")
	GAMEDAY_BIN_DIR=$(BIN) $(GO) run ./hack/bench $(ARGS)

##@ Style

.PHONY: lint
lint: $(GOLANGCI) ## Run golangci-lint, go vet on the tests on kind clusters, and the import rules
	$(GOLANGCI) run --timeout 20m ./...
	$(GO) vet -tags kind ./orchestrator/cluster/kind/e2e ./orchestrator/scaleout/e2e
	$(GO) test ./internal/archtest

$(GOLANGCI):
	@mkdir -p $(dir $@)
	cd hack/tools && $(GO) build -o $@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint

.PHONY: fmt
fmt: ## Format the code
	gofmt -w $$(git ls-files '*.go')

.PHONY: verify
verify: ## Check that code is formatted and go.mod is tidy
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); echo 'error: run make fmt'; exit 1; }
	$(GO) mod verify
	$(GO) mod tidy -diff

##@ Other

.PHONY: clean
clean: ## Remove what was built
	rm -rf $(BIN) .cache
