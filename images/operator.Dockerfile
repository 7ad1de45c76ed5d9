# The operator.
ARG BASE=debian:bookworm-slim

FROM ${BASE} AS runtime
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/tailrace-operator"]

FROM rust:1.95-slim-bookworm AS compile
WORKDIR /source
COPY . .
RUN cargo build --release --locked -p tailrace-operator && strip --strip-debug target/release/tailrace-operator

FROM runtime
COPY --from=compile /source/target/release/tailrace-operator /usr/local/bin/
