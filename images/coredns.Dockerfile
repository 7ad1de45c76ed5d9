# Cluster DNS with eight plugins.
FROM scratch AS runtime
USER 65532:65532
ENTRYPOINT ["/coredns"]

FROM golang:1.26-bookworm AS compile
COPY third-party/coredns /source
RUN /source/recipe /out

FROM runtime
COPY --from=compile /out/bin/coredns /coredns
