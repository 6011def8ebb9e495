# What one does with a checkout; CONTRIBUTING.md says more.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help demo test check docs bench kill sabotage soak

ROUNDS ?= 200
BROKERS ?= embedded

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 16

demo: ## build unbatch and watch a nightly CSV drop become a live topic; needs no server
	@scripts/install-packages.sh build
	cargo build -p unbatch --bin unbatch
	@"$${CARGO_TARGET_DIR:-target}/debug/unbatch" demo

test: ## everything, with the embedded broker and with Apache Kafka; installs what that needs
	@scripts/install-packages.sh build
	@scripts/install-packages.sh test || [[ "$$CI" != true ]]
	@scripts/test.sh all

check: ## format, lints, unit tests, simulation with 2,000 seeds, golden files, tidy; no server
	@scripts/install-packages.sh build
	@scripts/test.sh check

docs: ## build the book of docs/ into target/book, offline, and follow its links; UNBATCH_BLESS=1 renews its generated parts
	@scripts/install-packages.sh build
	@UNBATCH_BOOK=target/book cargo test -q --workspace --all-features --test suites --test generated --test book
	@echo "target/book/index.html"

bench: ## measure; writes tests/benchmarks/RESULTS.md. ARGS goes to the program
	@scripts/install-packages.sh test
	cargo build --release -p unbatch -p unbatch-dev-broker -p unbatch-benchmarks
	scripts/bench.sh $(ARGS)

kill: ## kill tests for long: ROUNDS=200 BROKERS=embedded|kafka, UNBATCH_KILL_SOURCE=folder|packed|s3, UNBATCH_SEED=N to repeat
	@scripts/install-packages.sh build
	@UNBATCH_ROUNDS=$(ROUNDS) UNBATCH_TEST_BROKERS=$(BROKERS) scripts/test.sh kill

sabotage: ## switch each delivery rule off and see that the test of its name fails
	@scripts/install-packages.sh build
	@scripts/sabotage.sh

soak: ## what takes many minutes: 200,000 seeds, 1,000 rounds of the kill tests
	@scripts/install-packages.sh test
	@scripts/test.sh soak
