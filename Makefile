# The commands of a developer. Binaries and tools are cached per version outside the checkout.
.DEFAULT_GOAL := help
SHELL := /bin/bash

CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/portal-operator
CARGO_DENY_VERSION := 0.20.2
CARGO_DENY := $(CACHE)/tools/cargo-deny-$(CARGO_DENY_VERSION)/bin/cargo-deny
TESTBED := tests/cluster/testbed
CHART := charts/portal-operator

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## build the operator in release mode
	cargo build --locked --release

.PHONY: test
test: ## run all tests on a real control plane with simulated nodes
	@tests/run

.PHONY: e2e
e2e: ## tell the stories on real nodes with a real PostgreSQL; Linux, root
	@tests/e2e/run

.PHONY: demo
demo: ## start a control plane and the operator, and deploy the samples; CLUSTER=current: on your cluster
	@config/demo/demo

.PHONY: demo-down
demo-down: ## end what make demo started
	@config/demo/demo down

.PHONY: bench
bench: ## measure speed and cost on a real control plane
	@$(TESTBED) run --without-metrics --without-controllers -- cargo bench --locked

.PHONY: generate
generate: ## write the generated files anew
	UPDATE=1 cargo test --locked --test generated

.PHONY: lint
lint: fmt-check clippy deny ## check format, code and dependencies

.PHONY: fmt-check
fmt-check:
	cargo fmt --check

.PHONY: clippy
clippy:
	cargo clippy --all-targets --locked -- -D warnings

# Advisories come from a database on the network. Without it the other checks still count.
.PHONY: deny
deny: $(CARGO_DENY)
	$(CARGO_DENY) --locked check bans licenses sources
	@if $(CARGO_DENY) fetch db >/dev/null 2>&1; then \
		$(CARGO_DENY) --locked --offline check advisories; \
	else \
		echo "advisories not checked: their database cannot be reached" >&2; \
	fi

$(CARGO_DENY):
	cargo install --locked cargo-deny --version $(CARGO_DENY_VERSION) --root $(CACHE)/tools/cargo-deny-$(CARGO_DENY_VERSION)

.PHONY: helm-lint
helm-lint: ## check the Helm chart
	@$(TESTBED) build helm
	helm=$$($(TESTBED) bin helm) && \
	$$helm lint --strict $(CHART) && \
	$$helm template portal-operator $(CHART) >/dev/null && \
	$$helm template portal-operator $(CHART) --set 'watchNamespaces={portal}' >/dev/null && \
	$$helm template portal-operator $(CHART) --set prometheusRule.enabled=true,serviceMonitor.enabled=true >/dev/null

.PHONY: clean
clean: ## remove what cargo built; the caches outside the checkout stay
	cargo clean
