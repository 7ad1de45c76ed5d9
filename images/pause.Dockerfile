# The container that holds a pod's namespaces open.
FROM scratch AS runtime
USER 65532:65532
ENTRYPOINT ["/pause"]

# What the host has built already (images/build).
FROM runtime AS prebuilt
COPY pause /pause

FROM golang:1.26-bookworm AS compile
COPY third-party/pause /source
RUN /source/recipe /out

FROM runtime
COPY --from=compile /out/bin/pause /pause
