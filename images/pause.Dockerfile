# The container that holds a pod's namespaces open.
FROM scratch AS runtime
USER 65532:65532
ENTRYPOINT ["/pause"]

FROM golang:1.26-bookworm AS compile
COPY third-party/pause /source
RUN /source/recipe /out

FROM runtime
COPY --from=compile /out/bin/pause /pause
