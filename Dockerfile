# The image of ollama2openai: built with the tree's own scripts, run as a user without rights.
#   docker build -t ollama2openai .
FROM debian:trixie-slim AS build
WORKDIR /src
COPY scripts/setup scripts/lib.sh scripts/
COPY web/package.json web/package-lock.json web/
RUN scripts/setup build
COPY . .
RUN cmake --preset release && cmake --build --preset release \
    && DESTDIR=/out cmake --install build/release --prefix /usr --strip

FROM debian:trixie-slim
LABEL org.opencontainers.image.title="ollama2openai" \
      org.opencontainers.image.description="The OpenAI API in front of Ollama"
COPY scripts/setup scripts/lib.sh /tmp/setup/scripts/
RUN /tmp/setup/scripts/setup runtime \
    && rm -rf /tmp/setup /var/lib/apt/lists/* \
    && install -d -m 0700 -o 10001 -g 10001 /data
COPY --from=build /out/usr /usr
ENV DATA_DIR=/data
WORKDIR /data
VOLUME /data
USER 10001:10001
EXPOSE 3000
HEALTHCHECK --interval=30s --timeout=6s --start-period=10s CMD ["/usr/bin/ollama2openai", "--healthcheck"]
ENTRYPOINT ["/usr/bin/ollama2openai"]
