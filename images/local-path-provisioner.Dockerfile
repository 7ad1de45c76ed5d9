# Volumes in a folder of the node. Its helper pods run the same image: busybox makes and removes the folders.
FROM scratch AS runtime
USER 65532:65532
ENTRYPOINT ["/bin/local-path-provisioner"]

FROM golang:1.26-bookworm AS compile
RUN apt-get update && apt-get install -y --no-install-recommends busybox-static
COPY third-party/local-path-provisioner /source
RUN /source/recipe /out

FROM runtime
COPY --from=compile /out/bin/local-path-provisioner /bin/busybox /bin/
COPY --from=compile /bin/busybox /bin/sh
