# FerretDB on SQLite: the MongoDB wire protocol in one static program. Databases lie in /state.
FROM scratch AS runtime
ENV FERRETDB_LISTEN_ADDR=:27017 FERRETDB_SQLITE_URL=file:/state/
WORKDIR /state
EXPOSE 27017
USER 65532:65532
ENTRYPOINT ["/ferretdb"]

FROM golang:1.26-bookworm AS compile
COPY third-party/ferretdb /source
RUN /source/recipe /out

FROM runtime
COPY --from=compile /out/bin/ferretdb /ferretdb
