# Apache Kafka, laid out as its official image: the same manifest starts both. User 1000; under a read-only root file
# system /tmp, /opt/kafka/logs and the data folder must be writable volumes.
ARG BASE=debian:bookworm-slim

FROM ${BASE} AS runtime
ENV JAVA_HOME=/opt/java/openjdk PATH=/opt/java/openjdk/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
RUN groupadd --gid 1000 appuser && useradd --uid 1000 --gid 1000 --no-create-home appuser \
	&& mkdir -p /opt/kafka/logs /var/lib/kafka/data /etc/kafka/secrets /mnt/shared/config \
	&& chown -R 1000:1000 /opt/kafka/logs /var/lib/kafka/data
EXPOSE 9092

FROM maven:3-eclipse-temurin-17 AS compile
COPY third-party/kafka /source
RUN /source/recipe /out

FROM runtime
COPY --from=compile /out/jre /opt/java/openjdk
COPY --from=compile /out/libs /opt/kafka/libs
COPY images/kafka/bin /opt/kafka/bin
COPY images/kafka/config /opt/kafka/config
COPY images/kafka/archive-classes /tmp/
RUN /tmp/archive-classes && rm /tmp/archive-classes
USER 1000:1000
