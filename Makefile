# The commands of the README. Each sets up what it needs; what is built once is not built again.
#
#   make demo     a cluster, a Pipeline, six LoadTests, and the table of their percentiles
#   make test     formatting, lints, unit, API, worker and end-to-end tests
#   make test-compose   the pipeline of compose/ on a Docker engine of its own; part of make test
#   make test-machines  the playbooks of ansible/ on machines that are made for it
#   make test-all       make test, 60,000 more objects for the schemas, a registry with a password on a small
#                 cluster, all images by plain docker build, and the machines
#   make bench    the figures of the README, from runs of its own
#   make bench-classifier   the classifier beside ONNX Runtime (CHECK=1 fails where a bar is missed)
#   make bench-pipeline     both topologies beside the floor of their latency, and their highest rates (CHECK=1 as above)
#   make bench-operator     the operator beside 2,000 LoadTests that are over, on a real API server (CHECK=1 as above)
#   make bench-original     the original experiment beside Tailrace, on loopback
#   make up       only the local cluster (NODES=4 CLUSTER=tailrace); make down takes it away without a trace
#   make install  Tailrace in the local cluster
#   make train    the model of the classifier, from the data set

.PHONY: demo test test-compose test-machines test-all bench bench-classifier bench-pipeline bench-generator bench-operator bench-original up down install train

demo:
	@examples/demo

test:
	@tests/run

test-compose:
	@tests/compose/run

test-machines:
	@tests/machines/run

test-all: test
	@TAILRACE_TEST_SEED=$$(date +%s) TAILRACE_TEST_CASES=60000 \
		cargo test --release --locked --workspace --exclude tailrace-end-to-end --test schema
	@tests/end-to-end/run registry
	@tests/compose/run --build
	@tests/machines/run

bench:
	@bench/run

bench-classifier:
	@bench/classifier/run

bench-pipeline:
	@bench/pipeline/run

bench-generator:
	@bench/generator/run

bench-operator:
	@bench/operator/run

bench-original:
	@bench/original/run

up:
	@localcluster/up

down:
	@localcluster/down

install: up
	@localcluster/install

train:
	@models/train
