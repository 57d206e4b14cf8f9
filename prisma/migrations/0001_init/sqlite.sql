-- CreateTable
CREATE TABLE "registry_version" (
    "id" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    "version" BIGINT NOT NULL
);

-- CreateTable
CREATE TABLE "entry" (
    "id" TEXT NOT NULL,
    "version" INTEGER NOT NULL,
    "seq" BIGINT NOT NULL,
    "kind" TEXT NOT NULL,
    "domain_id" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "body" TEXT NOT NULL,
    "owner" TEXT NOT NULL,
    "expires_at" DATETIME,
    "ended" BOOLEAN NOT NULL,
    "changed_at" DATETIME NOT NULL,
    "changed_by" TEXT NOT NULL,

    PRIMARY KEY ("id", "version")
);

-- CreateTable
CREATE TABLE "signing_key" (
    "kid" TEXT NOT NULL,
    "version" INTEGER NOT NULL,
    "seq" BIGINT NOT NULL,
    "domain_id" TEXT NOT NULL,
    "purpose" TEXT NOT NULL,
    "algorithm" TEXT NOT NULL,
    "public_jwk" TEXT NOT NULL,
    "sealed" TEXT NOT NULL,
    "kek_id" TEXT NOT NULL,
    "status" TEXT NOT NULL,
    "not_before" DATETIME NOT NULL,
    "not_after" DATETIME,
    "changed_at" DATETIME NOT NULL,

    PRIMARY KEY ("kid", "version")
);

-- CreateTable
CREATE TABLE "revocation" (
    "seq" BIGINT NOT NULL PRIMARY KEY,
    "target" TEXT NOT NULL,
    "domain_id" TEXT NOT NULL,
    "effect" TEXT NOT NULL,
    "at" DATETIME NOT NULL,
    "by" TEXT NOT NULL,
    "reason" TEXT NOT NULL,
    "enabled_seq" BIGINT,
    "enabled_at" DATETIME,
    "enabled_by" TEXT,
    "purge_after" DATETIME
);

-- CreateTable
CREATE TABLE "cascade" (
    "seq" BIGINT NOT NULL PRIMARY KEY,
    "target" TEXT NOT NULL,
    "domain_id" TEXT NOT NULL,
    "at" DATETIME NOT NULL,
    "due" DATETIME,
    "progress" TEXT NOT NULL,
    "steps" INTEGER NOT NULL,
    "sessions" INTEGER NOT NULL,
    "leases" INTEGER NOT NULL,
    "taken_back" INTEGER NOT NULL,
    "honoured" INTEGER NOT NULL,
    "honoured_until" DATETIME,
    "done_at" DATETIME,
    "purge_after" DATETIME
);

-- CreateTable
CREATE TABLE "cascade_task" (
    "seq" BIGINT NOT NULL,
    "kind" TEXT NOT NULL,
    "ref" TEXT NOT NULL,
    "attempts" INTEGER NOT NULL,
    "due" DATETIME NOT NULL,

    PRIMARY KEY ("seq", "kind", "ref")
);

-- CreateTable
CREATE TABLE "session" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "domain_id" TEXT NOT NULL,
    "issuer_id" TEXT NOT NULL,
    "holder" TEXT NOT NULL,
    "model" TEXT NOT NULL,
    "principal" TEXT NOT NULL,
    "person" TEXT,
    "anchor" TEXT NOT NULL,
    "facts" TEXT NOT NULL,
    "started_at" DATETIME NOT NULL,
    "expires_at" DATETIME NOT NULL,
    "ended_at" DATETIME,
    "ended_by" TEXT,
    "ended_reason" TEXT,
    "fresh_at" DATETIME,
    "began_version" BIGINT NOT NULL
);

-- CreateTable
CREATE TABLE "hop" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "session_id" TEXT NOT NULL,
    "parent_id" TEXT,
    "actor" TEXT NOT NULL,
    "workload_id" TEXT NOT NULL,
    "jkt" TEXT,
    "ceiling" TEXT NOT NULL,
    "depth" INTEGER NOT NULL,
    "chain" TEXT NOT NULL,
    "path" TEXT NOT NULL,
    "created_at" DATETIME NOT NULL,
    "expires_at" DATETIME NOT NULL
);

-- CreateTable
CREATE TABLE "instance" (
    "id" TEXT NOT NULL,
    "session_id" TEXT NOT NULL,
    "seq" BIGINT NOT NULL,
    "template_id" TEXT NOT NULL,
    "domain_id" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "spiffe_id" TEXT NOT NULL,
    "created_at" DATETIME NOT NULL,
    "expires_at" DATETIME NOT NULL,

    PRIMARY KEY ("id", "session_id")
);

-- CreateTable
CREATE TABLE "budget" (
    "session_id" TEXT NOT NULL,
    "kind" TEXT NOT NULL,
    "most" BIGINT NOT NULL,
    "used" BIGINT NOT NULL,

    PRIMARY KEY ("session_id", "kind")
);

-- CreateTable
CREATE TABLE "budget_use" (
    "session_id" TEXT NOT NULL,
    "kind" TEXT NOT NULL,
    "value" TEXT NOT NULL,

    PRIMARY KEY ("session_id", "kind", "value")
);

-- CreateTable
CREATE TABLE "lease" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "kind" TEXT NOT NULL,
    "domain_id" TEXT NOT NULL,
    "session_id" TEXT NOT NULL,
    "hop_id" TEXT NOT NULL,
    "workload_id" TEXT NOT NULL,
    "owner" TEXT NOT NULL,
    "issuer_id" TEXT NOT NULL,
    "resource_id" TEXT,
    "audience" TEXT NOT NULL,
    "scope" TEXT NOT NULL,
    "ceiling" TEXT NOT NULL,
    "details" TEXT,
    "decision" TEXT NOT NULL,
    "replay_key" TEXT,
    "replay_until" DATETIME,
    "credential_hash" TEXT NOT NULL,
    "kid" TEXT,
    "jkt" TEXT,
    "status_list" TEXT,
    "status_index" INTEGER,
    "handle" TEXT,
    "handle_kek_id" TEXT,
    "issued_at" DATETIME NOT NULL,
    "expires_at" DATETIME NOT NULL
);

-- CreateTable
CREATE TABLE "status_list" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "domain_id" TEXT NOT NULL,
    "open" BOOLEAN,
    "blocks" INTEGER NOT NULL,
    "claimed" INTEGER NOT NULL,
    "block_order" TEXT NOT NULL,
    "until" DATETIME NOT NULL
);

-- CreateTable
CREATE TABLE "approval" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "domain_id" TEXT NOT NULL,
    "session_id" TEXT NOT NULL,
    "hop_id" TEXT NOT NULL,
    "workload_id" TEXT NOT NULL,
    "lease_id" TEXT NOT NULL,
    "code_hash" TEXT NOT NULL,
    "jkt" TEXT NOT NULL,
    "frozen" TEXT NOT NULL,
    "hash" TEXT NOT NULL,
    "names" TEXT NOT NULL,
    "status" TEXT NOT NULL,
    "revision" INTEGER NOT NULL,
    "votes" TEXT NOT NULL,
    "closed_by" TEXT,
    "reason" TEXT,
    "asked_at" DATETIME NOT NULL,
    "expires_at" DATETIME NOT NULL,
    "decided_at" DATETIME,
    "redeemed_at" DATETIME,
    "redeemed_lease" TEXT,
    "notice_at" DATETIME,
    "notice_attempts" INTEGER NOT NULL
);

-- CreateTable
CREATE TABLE "replay" (
    "key" TEXT NOT NULL PRIMARY KEY,
    "expires_at" DATETIME NOT NULL
);

-- CreateTable
CREATE TABLE "denial" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "at" DATETIME NOT NULL,
    "domain_id" TEXT NOT NULL,
    "workload_id" TEXT,
    "code" TEXT NOT NULL,
    "detail" TEXT NOT NULL,
    "facts" TEXT NOT NULL,
    "count" INTEGER NOT NULL
);

-- CreateTable
CREATE TABLE "audit" (
    "chain" TEXT NOT NULL,
    "n" BIGINT NOT NULL,
    "at" DATETIME NOT NULL,
    "body" TEXT NOT NULL,
    "action" TEXT NOT NULL,
    "domain_id" TEXT NOT NULL,
    "prev" TEXT NOT NULL,
    "hash" TEXT NOT NULL,
    "mac" TEXT,

    PRIMARY KEY ("chain", "n")
);

-- CreateTable
CREATE TABLE "checkpoint" (
    "chain" TEXT NOT NULL,
    "n" BIGINT NOT NULL,
    "hash" TEXT NOT NULL,
    "at" DATETIME NOT NULL,
    "kid" TEXT NOT NULL,
    "jws" TEXT NOT NULL,

    PRIMARY KEY ("chain", "n")
);

-- CreateTable
CREATE TABLE "job" (
    "name" TEXT NOT NULL PRIMARY KEY,
    "holder" TEXT NOT NULL,
    "until" DATETIME NOT NULL,
    "fence" BIGINT NOT NULL
);

-- CreateTable
CREATE TABLE "ssf_stream" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "version" INTEGER NOT NULL,
    "domain_id" TEXT NOT NULL,
    "workload_id" TEXT NOT NULL,
    "audience" TEXT NOT NULL,
    "events_requested" TEXT,
    "method" TEXT NOT NULL,
    "endpoint_url" TEXT,
    "secret" TEXT,
    "secret_kek_id" TEXT,
    "description" TEXT,
    "status" TEXT NOT NULL,
    "reason" TEXT,
    "created_at" DATETIME NOT NULL,
    "changed_at" DATETIME NOT NULL,
    "verified_at" DATETIME,
    "began_seq" BIGINT NOT NULL,
    "last_n" BIGINT NOT NULL,
    "floor" BIGINT NOT NULL,
    "pending" BIGINT NOT NULL,
    "notice" BIGINT,
    "overflowed" BOOLEAN NOT NULL,
    "lost" BIGINT NOT NULL,
    "lost_since" DATETIME
);

-- CreateTable
CREATE TABLE "ssf_subject" (
    "stream_id" TEXT NOT NULL,
    "key" TEXT NOT NULL,
    "subject" TEXT NOT NULL,
    "since" DATETIME NOT NULL,

    PRIMARY KEY ("stream_id", "key")
);

-- CreateTable
CREATE TABLE "ssf_event" (
    "stream_id" TEXT NOT NULL,
    "n" BIGINT NOT NULL,
    "dedupe_key" TEXT NOT NULL,
    "type" TEXT NOT NULL,
    "subject" TEXT NOT NULL,
    "payload" TEXT NOT NULL,
    "txn" TEXT,
    "at" DATETIME NOT NULL,
    "done_at" DATETIME,
    "error" TEXT,

    PRIMARY KEY ("stream_id", "n")
);

-- CreateTable
CREATE TABLE "ssf_cursor" (
    "domain_id" TEXT NOT NULL PRIMARY KEY,
    "seq" BIGINT NOT NULL,
    "position" TEXT NOT NULL
);

-- CreateIndex
CREATE UNIQUE INDEX "entry_seq_key" ON "entry"("seq");

-- CreateIndex
CREATE INDEX "entry_kind_domain_id_name_idx" ON "entry"("kind", "domain_id", "name");

-- CreateIndex
CREATE UNIQUE INDEX "signing_key_seq_key" ON "signing_key"("seq");

-- CreateIndex
CREATE INDEX "signing_key_domain_id_purpose_idx" ON "signing_key"("domain_id", "purpose");

-- CreateIndex
CREATE UNIQUE INDEX "revocation_enabled_seq_key" ON "revocation"("enabled_seq");

-- CreateIndex
CREATE INDEX "revocation_target_idx" ON "revocation"("target");

-- CreateIndex
CREATE INDEX "revocation_purge_after_idx" ON "revocation"("purge_after");

-- CreateIndex
CREATE INDEX "cascade_due_idx" ON "cascade"("due");

-- CreateIndex
CREATE INDEX "cascade_purge_after_idx" ON "cascade"("purge_after");

-- CreateIndex
CREATE INDEX "session_domain_id_started_at_idx" ON "session"("domain_id", "started_at");

-- CreateIndex
CREATE INDEX "session_started_at_idx" ON "session"("started_at");

-- CreateIndex
CREATE INDEX "session_holder_started_at_idx" ON "session"("holder", "started_at");

-- CreateIndex
CREATE INDEX "session_person_started_at_idx" ON "session"("person", "started_at");

-- CreateIndex
CREATE INDEX "hop_session_id_idx" ON "hop"("session_id");

-- CreateIndex
CREATE UNIQUE INDEX "instance_seq_key" ON "instance"("seq");

-- CreateIndex
CREATE INDEX "instance_template_id_expires_at_idx" ON "instance"("template_id", "expires_at");

-- CreateIndex
CREATE INDEX "instance_expires_at_idx" ON "instance"("expires_at");

-- CreateIndex
CREATE UNIQUE INDEX "lease_replay_key_key" ON "lease"("replay_key");

-- CreateIndex
CREATE INDEX "lease_domain_id_issued_at_idx" ON "lease"("domain_id", "issued_at");

-- CreateIndex
CREATE INDEX "lease_session_id_id_idx" ON "lease"("session_id", "id");

-- CreateIndex
CREATE INDEX "lease_workload_id_issued_at_idx" ON "lease"("workload_id", "issued_at");

-- CreateIndex
CREATE UNIQUE INDEX "status_list_domain_id_open_key" ON "status_list"("domain_id", "open");

-- CreateIndex
CREATE UNIQUE INDEX "approval_code_hash_key" ON "approval"("code_hash");

-- CreateIndex
CREATE INDEX "approval_domain_id_asked_at_idx" ON "approval"("domain_id", "asked_at");

-- CreateIndex
CREATE INDEX "approval_asked_at_idx" ON "approval"("asked_at");

-- CreateIndex
CREATE INDEX "approval_workload_id_asked_at_idx" ON "approval"("workload_id", "asked_at");

-- CreateIndex
CREATE INDEX "approval_session_id_idx" ON "approval"("session_id");

-- CreateIndex
CREATE INDEX "approval_hop_id_idx" ON "approval"("hop_id");

-- CreateIndex
CREATE INDEX "approval_status_expires_at_idx" ON "approval"("status", "expires_at");

-- CreateIndex
CREATE INDEX "approval_notice_at_idx" ON "approval"("notice_at");

-- CreateIndex
CREATE INDEX "replay_expires_at_idx" ON "replay"("expires_at");

-- CreateIndex
CREATE INDEX "denial_domain_id_at_idx" ON "denial"("domain_id", "at");

-- CreateIndex
CREATE INDEX "denial_at_idx" ON "denial"("at");

-- CreateIndex
CREATE INDEX "checkpoint_at_idx" ON "checkpoint"("at");

-- CreateIndex
CREATE INDEX "ssf_stream_domain_id_workload_id_idx" ON "ssf_stream"("domain_id", "workload_id");

-- CreateIndex
CREATE UNIQUE INDEX "ssf_event_stream_id_dedupe_key_key" ON "ssf_event"("stream_id", "dedupe_key");
