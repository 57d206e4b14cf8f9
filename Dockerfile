# The server on a node 26 base, without root. Built from sources and the lockfile alone; no build secrets.
#   docker build -t mayfly .
#   docker run --init -p 127.0.0.1:8420:8420 -v mayfly:/data -e MAYFLY_EXTERNAL_URL=http://127.0.0.1:8420 mayfly
# The root file system may be read-only; docs/operations.md shows it, with what else can be taken away.
ARG NODE=node:26-slim

FROM ${NODE} AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY tsconfig.json ./
COPY prisma ./prisma
COPY scripts ./scripts
COPY src ./src
RUN npm run prepack

FROM ${NODE} AS dependencies
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# Without devDependencies, and the lockfile without what only they bring: `npm ci --omit=dev` alone keeps all that some
# dependency could also use as an optional peer, the whole prisma command line for one. Offline, so that no version can move.
# Optional packages stay: libsql's binary is one. The pinned node is not needed where the base is that node.
RUN npm pkg delete devDependencies && npm install --package-lock-only --offline && npm ci \
  && rm -rf node_modules/node-linux-* node_modules/.bin/node && npm cache clean --force

FROM ${NODE}
ENV NODE_ENV=production \
    MAYFLY_DATA_DIR=/data \
    MAYFLY_LISTEN=0.0.0.0:8420
WORKDIR /app
# Files of the image belong to root: the server can read itself and write nothing but its data.
COPY --from=dependencies /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
COPY package.json LICENSE CHANGELOG.md SECURITY.md ./
COPY bin ./bin
COPY prisma ./prisma
RUN install -d -o node -g node -m 0700 /data && ln -s /app/bin/mayfly.js /usr/local/bin/mayfly
USER node
VOLUME /data
EXPOSE 8420
# For a server that listens elsewhere or serves TLS itself, give the container its own --health-cmd.
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:8420/readyz', { signal: AbortSignal.timeout(2500) }).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
# Ends on SIGTERM once what it started is finished. As process 1, without --init, it does not hear a signal in its first moments.
CMD ["node", "--max-semi-space-size=32", "/app/bin/mayfly.js", "serve"]
