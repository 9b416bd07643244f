# An image with two files in it: the binary, and whom TLS to a broker trusts. The binary is linked statically with the C
# library of the build image, so it needs nothing around it: `make static` builds it from the same files with the same flags
# and tries it in an empty root directory. That one is faster: what a first build does under load guides the compiler, for
# which brokers are needed. To have it in an image, copy it into one FROM scratch as below.
FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY .cargo .cargo
COPY src src
COPY proto-tests proto-tests
COPY benches benches
ENV RUSTFLAGS="-C target-feature=+crt-static" CARGO_PROFILE_RELEASE_STRIP=debuginfo
# On arm64 kernels have pages of up to 64 KiB; the allocator has to know the largest.
# An explicit target keeps the flags away from build scripts and procedural macros.
RUN target=$(rustc -vV | sed -n 's/^host: //p') \
 && case $target in aarch64-*) export JEMALLOC_SYS_WITH_LG_PAGE=16 ;; esac \
 && cargo build --release --locked --target "$target" \
 && install -D "target/$target/release/draingate" /out/usr/local/bin/draingate \
 && install -D -m 644 /etc/ssl/certs/ca-certificates.crt /out/etc/ssl/certs/ca-certificates.crt \
 && install -d -o 65532 -g 65532 /out/var/lib/draingate

FROM scratch
COPY --from=build /out /
# Nobody in particular; not root.
USER 65532:65532
# Marks and the journal: keep them on a volume, they are what survives a kill of the gate.
VOLUME /var/lib/draingate
ENV DRAINGATE__STATE__DIR=/var/lib/draingate
EXPOSE 6379
HEALTHCHECK --interval=5s --timeout=3s --start-period=10s --retries=3 CMD ["/usr/local/bin/draingate", "healthcheck"]
# The admin API stays inside: `docker exec CONTAINER draingate workers`.
ENTRYPOINT ["/usr/local/bin/draingate"]
CMD ["serve", "--redis", "0.0.0.0:6379=redis://broker:6379"]
