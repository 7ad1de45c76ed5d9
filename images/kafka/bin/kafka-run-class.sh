#!/bin/bash
# Starts a Java class with Kafka's jars. Reads the environment variables of the script of the same name in Kafka's own
# release: KAFKA_HEAP_OPTS, KAFKA_JVM_PERFORMANCE_OPTS, KAFKA_OPTS, KAFKA_LOG4J_OPTS, LOG_DIR.
set -eu
home=$(cd "$(dirname "$0")/.." && pwd)
java=${JAVA_HOME:+$JAVA_HOME/bin/}java

# In a fixed order: the archive of parsed classes is taken only with the class path it was made with.
jars=$(printf '%s:' "$home"/libs/*.jar)
case ${1:-} in
kafka.Kafka) archive=$home/kafka.jsa ;;
kafka.tools.StorageTool) archive=$home/storage.jsa ;;
*) archive= ;;
esac
[[ -r $archive ]] || archive=

# Each variable holds several words.
# shellcheck disable=SC2086
exec "$java" \
	${KAFKA_HEAP_OPTS:--Xmx256M} \
	${KAFKA_JVM_PERFORMANCE_OPTS:--server -XX:+UseG1GC -XX:MaxGCPauseMillis=20 -XX:InitiatingHeapOccupancyPercent=35 -XX:+ExplicitGCInvokesConcurrent -Djava.awt.headless=true} \
	${archive:+-XX:SharedArchiveFile=$archive} \
	-Dkafka.logs.dir="${LOG_DIR:-$home/logs}" \
	${KAFKA_LOG4J_OPTS:--Dlog4j2.configurationFile=$home/config/tools-log4j2.yaml} \
	-cp "${CLASSPATH:+$CLASSPATH:}${jars%:}" \
	${KAFKA_OPTS:-} "$@"
