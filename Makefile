# The project's commands. `make up` and `make test` do all set-up on a fresh Debian 12 machine
# with Rust and Node.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := up
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
ARGS ?=

.PHONY: up demo build console conformance test test-long check unit browser bench fmt openapi packages

## Builds everything and serves on 127.0.0.1:7411. What examples run finds `atoll` there too.
up: build
	PATH="$(CURDIR)/target/release:$$PATH" target/release/atoll up $(ARGS)

## Builds everything and plays the demonstration.
demo: build
	target/release/atoll demo $(ARGS)

build: console
	cargo build --release --locked --package atoll

console: console/dist/index.html

console/dist/index.html: $(shell find console/src console/public -type f 2>/dev/null) \
		console/index.html console/package.json console/package-lock.json docs/openapi.json
	cd console && npm ci --no-audit --no-fund && npm run build

## Everything the continuous integration runs.
test: packages console check unit browser

check:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	cd console && npm run check

unit:
	cargo test --workspace --locked --no-fail-fast
	cd console && npm test

browser: packages
	cargo build --locked --package atoll
	tests/console/run.sh target/debug/atoll

## What outside test suites say, where they are to be had.
conformance:
	cargo test --locked --package atoll-metrics --test promql -- --nocapture

## Properties over ten thousand random worlds.
test-long:
	ATOLL_SEEDS=10000 cargo test --release --locked --package atoll-plan --test properties

## Prints the figures and their goals, and writes target/bench.json.
bench: packages build
	cargo build --release --locked --package atoll-bench
	target/release/atoll-bench --program target/release/atoll

fmt:
	cargo fmt --all

## Writes docs/openapi.json from the route table.
openapi:
	UPDATE_EXPECT=1 cargo test --package atoll-server --test openapi

## What the tests and the bench need from Debian; nothing is done where it is there already.
packages:
	@missing=""; \
	need() { [ -e "$$1" ] || missing="$$missing $$2"; }; \
	need /usr/lib/postgresql/15/bin/postgres postgresql-15; \
	need /usr/bin/chromium chromium; \
	need /usr/bin/python3 python3; \
	need /usr/bin/prometheus prometheus; \
	need /usr/bin/victoria-metrics victoria-metrics; \
	need /usr/sbin/dockerd docker.io; \
	need /usr/bin/docker-registry docker-registry; \
	need /bin/busybox busybox-static; \
	if [ -n "$$missing" ]; then \
		$(SUDO) apt-get update -q; \
		$(SUDO) env DEBIAN_FRONTEND=noninteractive \
			apt-get install -y -q --no-install-recommends $$missing; \
	fi
