# Everything that is done with the project is a target here; "make" lists them.
# To build, run and demo takes Go and nothing else. "make test" installs what the
# tests need, once.
#
#	make test RABBITMQ=4    tests the RabbitMQ driver against RabbitMQ 4 (needs root)
#	make faults RABBITMQ=4  breaks RabbitMQ 4 instead of the installed one

SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -ec
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# The tools of tools/go.mod; those that run others find them by PATH.
TOOLS := $(CURDIR)/.cache/bin
export PATH := $(TOOLS):$(PATH)

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
COMMIT := $(shell git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)
LDFLAGS := -X main.version=$(VERSION) -X main.commit=$(COMMIT)

.PHONY: help
help: ## List the targets.
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 14

.PHONY: demo
demo: build ## Run the gateway with a broker and a service in one process, and show what it does.
	@bin/gateway demo

.PHONY: build
build: ## Build bin/gateway.
	@echo 'building bin/gateway'
	@CGO_ENABLED=0 go build -trimpath -ldflags '-s -w $(LDFLAGS)' -o bin/gateway ./cmd/gateway

.PHONY: test
ifeq ($(RABBITMQ),)
test: deps check-fmt vet lint check-proto allocs race ## Check everything that CI checks: format, vet, lint, generated code, race tests.
else
test: deps race
endif

.PHONY: race
race: deps $(TOOLS)/.built ## Run all tests with the race detector.
	@tools/race.sh

.PHONY: allocs
allocs: ## Hold the bounds on allocations, which the race detector would disturb.
	@go test ./bench ./internal/routing ./internal/mapping

.PHONY: vet
vet:
	@go vet ./...

.PHONY: lint
lint: $(TOOLS)/.built ## Run the linters of .golangci.yml.
	@golangci-lint run --show-stats=false

.PHONY: fmt
fmt: $(TOOLS)/.built ## Format all Go code.
	@golangci-lint fmt

.PHONY: check-fmt
check-fmt: $(TOOLS)/.built
	@golangci-lint fmt --diff || { echo 'format: the code is not formatted, run "make fmt"' >&2; exit 1; }

.PHONY: proto
proto: $(TOOLS)/.built ## Generate the Go code of api/proto.
	@buf generate

.PHONY: check-proto
check-proto: $(TOOLS)/.built
	@tools/check-proto.sh

.PHONY: fuzz-short
fuzz-short: ## Run each fuzz target for ten seconds.
	@tools/fuzz.sh 10s

.PHONY: bench
bench: ## Measure the gateway against bare loops on a RabbitMQ of its own; BENCH='-quick' passes flags.
	@go run ./bench $(BENCH)

.PHONY: faults
faults: deps ## Break brokers, gateways and networks under load, account for every message (about two hours); FAULTS='-scale 0.1' passes flags.
	@go test -count=1 -timeout 0 -v -run TestFaults ./test/faults -long $(FAULTS)

.PHONY: deps
deps: ## Install what the tests need: RabbitMQ, nginx, Python clients (Debian, as root).
	@tools/deps.sh

$(TOOLS)/.built: tools/go.mod tools/go.sum
	@echo 'tools: building those of tools/go.mod (some minutes, once)'
	@cd tools && go build -trimpath -ldflags '-s -w' -o $(TOOLS)/ tool
	@touch $@
