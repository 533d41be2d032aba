# syntax=docker/dockerfile:1
# A static binary in an empty image. Debian's glibc links statically; name lookups (DNS, /etc/hosts) work without its shared
# libraries. There is no CA bundle: the operator talks only to the API server, by the CA in its ServiceAccount volume.
FROM rust:1.95-slim-bookworm AS build
ARG TARGETARCH
WORKDIR /src
# .dockerignore leaves only what the build reads.
COPY . .
# --target is named although it is the host's: otherwise the flag would apply to build scripts and macros too.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target,id=portal-operator-target-${TARGETARCH:-native} \
    set -eu; \
    triple="$(rustc -vV | sed -n 's/^host: //p')"; \
    RUSTFLAGS="-C target-feature=+crt-static" \
      cargo build --locked --release --bin portal-operator --target "$triple"; \
    cp "target/$triple/release/portal-operator" /portal-operator

FROM scratch
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="portal-operator" \
      org.opencontainers.image.description="Runs developer portals to their availability, scaling, network and security policies, and shows which of them hold" \
      org.opencontainers.image.source="https://github.com/portalplatform/portal-operator" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /portal-operator /portal-operator
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["/portal-operator"]
CMD ["run"]
