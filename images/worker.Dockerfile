# Every worker: producer, classifier, consumers, checks. The model and the CIFAR-10 test set are inside.
ARG BASE=debian:bookworm-slim

FROM ${BASE} AS runtime
RUN apt-get update \
	&& apt-get install -y --no-install-recommends ca-certificates libssl3 zlib1g \
	&& rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/*
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/tailrace-worker"]

FROM node:22-slim AS dataset
COPY images/cifar10-test /recipe
RUN /recipe /out

FROM rust:1.95-slim-bookworm AS compile
RUN apt-get update && apt-get install -y --no-install-recommends g++ make pkg-config libssl-dev zlib1g-dev
WORKDIR /source
COPY . .
RUN cargo build --release --locked -p tailrace-worker && strip --strip-debug target/release/tailrace-worker

FROM runtime
COPY --from=dataset /out /usr/share/tailrace/cifar10-test
COPY models/resnet20.safetensors /usr/share/tailrace/
COPY --from=compile /source/target/release/tailrace-worker /usr/local/bin/
