# `make test` is what CI runs. Everything it needs is installed by `make setup`, and only what is missing.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
CARGO ?= cargo
ROUNDS ?= 200
# The stories wait more than they work: three times as many at a time as a small machine has cores.
STORIES ?= 6
# The properties try the same cases every time, so that nobody is stopped by luck; `make soak` looks for others.
SEED ?= 1
CASES ?= 50000
BROKER ?= redis
BENCH ?=
STATIC_TARGET := $(shell rustc -vV 2>/dev/null | sed -n 's/^host: //p')
STATIC_BINARY := target/profiled/$(STATIC_TARGET)/release/draingate
# What the Dockerfile builds from, and nothing else of the tree.
IMAGE_FILES := $(shell sed -n '/^FROM scratch/q; s/^COPY \(.*\) [^ ]*$$/\1/p' Dockerfile)

.PHONY: help setup build test lint image-context pure instructions instructions-accept unit soak evidence demo bench static clean

help: ## what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## /\1\t/' | expand -t 22

setup: ## install what tests need and is missing (as root, or with sudo)
	@tests/setup

build: ## the binary, optimised
	$(CARGO) build --release --locked

test: setup lint pure instructions unit ## format, lints, the pure half alone and its cost, all tests with real brokers and real workers

lint: setup image-context ## formatting and lints; a warning is an error
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	$(CARGO) clippy --locked -p proto-tests --all-targets -- -D warnings
	.venvs/lint/bin/ruff check --quiet tests demo deploy benches
	.venvs/lint/bin/ruff format --quiet --check tests demo deploy benches
	.venvs/lint/bin/check-jsonschema --quiet --builtin-schema vendor.compose-spec docker-compose.yml
	.venvs/lint/bin/python deploy/check-compose.py
	shellcheck tests/setup .ci/run deploy/check-static
	ruby -wc tests/jobs/*.rb >/dev/null
	node --check tests/jobs/amqplib_jobs.js
	php -l tests/jobs/php_jobs.php >/dev/null
	php -l tests/jobs/laravel_jobs.php >/dev/null
	php -l tests/jobs/symfony_jobs.php >/dev/null
	test -z "$$(gofmt -l tests/jobs)"
	rustfmt --check --edition 2024 tests/jobs/lapin/main.rs

# Only a compiler notices a manifest that names a file which the image has not.
image-context:
	rm -rf target/image && mkdir -p target/image && cp -r $(IMAGE_FILES) target/image
	cd target/image && CARGO_TARGET_DIR=../../target $(CARGO) check --locked --quiet

pure: setup ## the protocol machine compiled without the server half
	PROPTEST_RNG_SEED=$(SEED) $(CARGO) test --locked --quiet -p proto-tests -p traffic

instructions: setup ## what the gates need per command or frame, against benches/instructions.json
	@benches/instructions.py

instructions-accept: setup ## make what the gates need now the baseline
	@benches/instructions.py --accept

unit: setup ## unit, integration and real stories
	RUST_TEST_THREADS=$(STORIES) $(CARGO) test --locked

soak: setup ## each real story ROUNDS times (200), and CASES (50000) fresh cases of each property
	PROPTEST_CASES=$(CASES) $(CARGO) test --locked --release -p proto-tests
	RUST_TEST_THREADS=$(STORIES) DRAINGATE_ROUNDS=$(ROUNDS) \
		$(CARGO) test --locked --release --test stories -- --nocapture

# Next to the soak: the same stories, and the table of what they measured. A minute of each is spent on looking at a held worker.
evidence: STORIES = 14
evidence: setup ## each real story ROUNDS times (200), and docs/evidence.md
	rm -f target/evidence.jsonl
	RUST_TEST_THREADS=$(STORIES) DRAINGATE_ROUNDS=$(ROUNDS) DRAINGATE_EVIDENCE=$(CURDIR)/target/evidence.jsonl \
		$(CARGO) test --locked --test stories -- --nocapture
	tests/evidence.py target/evidence.jsonl

demo: ## two Celery workers, a drain, a kill -9 and the proof; BROKER=rabbitmq for the same with RabbitMQ
	@demo/drain.py $(BROKER)

bench: $(STATIC_BINARY) ## throughput, CPU, latency and memory, compared with HAProxy, nginx and no proxy at all; BENCH="--rows p16 --rounds 3"
	@tests/setup bench
	$(CARGO) build --release --locked -p load
	benches/compare.py $(BENCH)

static: $(STATIC_BINARY) ## a static binary, trained under load, built from what the image is built from and tried in an empty root directory
	deploy/check-static $(STATIC_BINARY)

# For the host's own target, with the C library linked in, so that an empty image is enough for it. Built twice: what the
# first one does under load guides the second.
$(STATIC_BINARY): Cargo.toml Cargo.lock .cargo/config.toml $(shell find src -name '*.rs') benches/profiled.py
	@tests/setup bench
	$(MAKE) image-context
	$(CARGO) build --release --locked -p load
	RUSTFLAGS="-C target-feature=+crt-static" CARGO_PROFILE_RELEASE_STRIP=debuginfo \
		benches/profiled.py target/image $(STATIC_TARGET)

clean: ## what was built, and what `make setup` made
	$(CARGO) clean
	rm -rf .venvs .cache
