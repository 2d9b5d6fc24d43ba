# The image, with what its tests need: they run on the Python and the system that users have.
ARG IMAGE=multicloud-broker:0.1.0
FROM ${IMAGE}
USER 0
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends python3-venv make curl openssl git >/dev/null
COPY requirements-dev.txt /build/
RUN /usr/bin/python3 -m venv /build/venv \
 && /build/venv/bin/pip install --quiet --no-cache-dir --require-hashes -r /build/requirements-dev.txt \
 && touch /build/venv/installed
ENV PYTHONDONTWRITEBYTECODE=
WORKDIR /build/source
ENTRYPOINT ["/usr/bin/tini", "--"]
