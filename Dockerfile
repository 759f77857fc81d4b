# syntax=docker/dockerfile:1
# HishamOS without a database of its own: DATABASE_URL names one. `docker compose up` brings both.
FROM rust:1.95-bookworm AS build
WORKDIR /build
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/build/target \
    ./dev build --features local-model && cp target/release/hishamos /usr/local/bin/hishamos

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates curl \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --create-home --home-dir /var/lib/hishamos hishamos
COPY --from=build /usr/local/bin/hishamos /usr/local/bin/hishamos
USER hishamos
WORKDIR /var/lib/hishamos
ENV HISHAMOS_DATA_DIR=/var/lib/hishamos/data HISHAMOS_LOG__FORMAT=json
VOLUME /var/lib/hishamos/data
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s \
    CMD curl --fail --silent http://127.0.0.1:7410/health/ready || exit 1
STOPSIGNAL SIGTERM
ENTRYPOINT ["hishamos"]
CMD ["serve"]
