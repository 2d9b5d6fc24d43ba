# The broker's image; docker/README.md explains it, file by file.
#   docker build -t multicloud-broker:0.1.0 .
ARG BASE_IMAGE=debian:trixie-slim

# What the build and the image share: Python, and an init for PID 1.
FROM ${BASE_IMAGE} AS python
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends python3 tini \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/* /var/log/apt /var/log/dpkg.log

# The pinned requirements in an environment of their own, checked by their hashes; wheels only, so no compiler.
FROM python AS requirements
RUN apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends python3-venv
COPY docker/requirements-sbom.txt /build/
RUN python3 -m venv /build/sbom \
 && /build/sbom/bin/pip install --quiet --no-cache-dir --require-hashes -r /build/requirements-sbom.txt
COPY requirements.txt /build/
RUN python3 -m venv /opt/multicloud/venv \
 && /opt/multicloud/venv/bin/pip install --quiet --no-cache-dir --require-hashes --only-binary :all: \
      --no-compile -r /build/requirements.txt \
 && /opt/multicloud/venv/bin/pip --quiet uninstall --yes pip \
 && rm -f /opt/multicloud/venv/bin/[Aa]ctivate* \
 && find /opt/multicloud/venv -type d \( -name tests -o -name test \) -prune -exec rm -rf {} + \
 && find /opt/multicloud/venv -name 'test_*.py' -delete \
 && rm -rf /opt/multicloud/venv/lib/python3*/site-packages/django/conf/locale/*/ \
      /opt/multicloud/venv/lib/python3*/site-packages/django/contrib/*/locale \
      /opt/multicloud/venv/lib/python3*/site-packages/django/contrib/admin/static \
 && /build/sbom/bin/cyclonedx-py environment --output-format JSON --output-reproducible \
      --output-file /opt/multicloud/sbom.cdx.json /opt/multicloud/venv/bin/python3 \
 && python3 -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/multicloud/venv/lib

# The source, its data path compiled to machine code (--build-arg COMPILE=false leaves that out, which saves a minute of
# each build): what changes often comes last.
FROM requirements AS source
RUN apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends gcc libc6-dev python3-dev
COPY docker/requirements-compile.txt /build/
RUN python3 -m venv /build/compiler \
 && /build/compiler/bin/pip install --quiet --no-cache-dir --require-hashes -r /build/requirements-compile.txt
COPY docker/compile.py /build/docker/
COPY app /build/app
ARG COMPILE=true
RUN mkdir /source \
 && if [ "${COMPILE}" = true ]; \
    then /build/compiler/bin/python /build/docker/compile.py --packages /opt/multicloud/venv/bin/python3 /source; \
    else cp -r /build/app /source; \
    fi \
 && python3 -m compileall -q --invalidation-mode unchecked-hash /source/app

FROM python
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="ONAP MultiCloud broker" \
      org.opencontainers.image.description="One HTTP API in front of every cloud" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.source="https://github.com/onap/multicloud-framework" \
      org.opencontainers.image.licenses="Apache-2.0"
ENV PATH=/opt/multicloud/venv/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
COPY --from=requirements /opt/multicloud /opt/multicloud
# Where today's image has its files: OOM's init container copies this folder, and mounts its map over it.
COPY app/data/provider-plugin.json /opt/multivimbroker/multivimbroker/pub/config/provider-plugin.json
COPY docker/healthcheck.py entrypoint.sh LICENSE /opt/multicloud/
COPY --from=source /source /opt/multicloud
WORKDIR /opt/multicloud
USER 100:65533
EXPOSE 9001
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
    CMD ["/usr/bin/python3", "-I", "-S", "/opt/multicloud/healthcheck.py"]
ENTRYPOINT ["/usr/bin/tini", "--", "/opt/multicloud/entrypoint.sh"]
