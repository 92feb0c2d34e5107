#include "app/admin_call.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "app/admin_stream.h"
#include "app/admin_view.h"
#include "app/keeper.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "codec/keytext.h"

/* ---- keys as text ---- */

struct export
{
    struct program *program;
    struct admin_filter filter; // in `arena`
    struct arena arena;
    struct key_ids ids; // found with the first piece
    size_t at;
    size_t written;
    bool found;
};

static void put_line(void *arg, const struct key_view *view)
{
    keytext_put_line(arg, view->base_url, view->secret);
}

static enum stream_got next_lines(void *arg, struct buf *out, int *status)
{
    struct export *ex = arg;
    struct keypool *pool = keeper_pool(ex->program->keeper);
    uint64_t now_ms = clock_mono_ms();
    (void)status;
    if (!ex->found) {
        struct key_filter filter = filter_of(&ex->filter);
        struct key_order order = {.field = KEY_BY_ADDED};
        key_list_collect(pool, &filter, &order, now_ms, &ex->ids);
        ex->found = true;
    }
    while (ex->at < ex->ids.n && out->len < ADMIN_PIECE_BYTES)
        ex->written += keypool_look(pool, ex->ids.items[ex->at++], now_ms, put_line, out);
    return ex->at < ex->ids.n ? STREAM_MORE : STREAM_END;
}

static void release_export(void *arg)
{
    struct export *ex = arg;
    log_warn("keys_exported", LOG_INT("count", ex->written));
    key_ids_release(&ex->ids);
    arena_release(&ex->arena);
    free(ex);
}

static void start_export(struct admin_call *c)
{
    struct export *ex = c->arg;
    struct stream_source source = {.next = next_lines,
                                   .release = release_export,
                                   .arg = ex,
                                   .content_type = "text/plain; charset=utf-8",
                                   .disposition = "attachment; filename=\"keys.txt\"",
                                   .secret = true};
    c->arg = NULL;
    c->release_arg = NULL;
    admin_stream_start(c, &source);
}

static void free_export(void *arg)
{
    struct export *ex = arg;
    arena_release(&ex->arena);
    free(ex);
}

static void on_checked(void *arg, bool right, uint64_t generation)
{
    struct admin_call *c = arg;
    (void)generation;
    c->try = NULL;
    log_warn("keys_export", LOG_STR("id", c->r->id),
             LOG_STR("password", right ? STR("right") : STR("wrong")));
    if (right) {
        start_export(c);
        return;
    }
    c->r->why = "wrong_password";
    call_refuse(c, 403, STR("the password is wrong"));
}

/* Reads the body; false when it is answered. */
static bool read_export(struct admin_call *c, struct admin_export *ret)
{
    struct err_info info = {0};
    struct buf *body = exchange_body(c->r->x);
    enum err e = admin_read_export(&c->r->worker->scratch, body->p, body->len, ret, &info);
    if (e != ERR_OK)
        call_refuse(c, err_status(e), str_z(info.text));
    return e == ERR_OK;
}

static struct export *export_new(struct admin_call *c, const struct admin_filter *filter)
{
    struct export *ex = xcalloc(1, sizeof(*ex));
    ex->program = c->r->worker->program;
    arena_init(&ex->arena, (size_t)64 << 10);
    ex->filter = *filter;
    ex->filter.q = arena_copy(&ex->arena, filter->q);
    ex->filter.host = arena_copy(&ex->arena, filter->host);
    return ex;
}

void admin_keys_export(struct admin_call *c)
{
    struct admin_export asked;
    if (!read_export(c, &asked))
        return;
    c->arg = export_new(c, &asked.filter);
    c->release_arg = free_export;
    (void)call_try_password(c, asked.password, on_checked);
}

/* ---- the store as a whole ---- */

struct backup {
    struct program *program;
    str dir; // of the settings, which the snapshot keeps
    struct snapshot *snapshot;
    int fd; // -1: not yet
};

/* Makes the copy. Its name goes at once: it is gone with the last one who has it open. */
static enum err open_copy(struct backup *b, struct err_info *info)
{
    char path[4096];
    char random[9] = "";
    crypto_random_text(random, sizeof(random) - 1);
    int n = snprintf(path, sizeof(path), "%.*s/" STORE_COPY_HEAD "%s" STORE_COPY_TAIL,
                     STR_ARG(b->dir), random);
    if (n < 0 || (size_t)n >= sizeof(path))
        return err_set(info, ERR_SYSTEM, "the path of DATA_DIR is too long");
    enum err e = keeper_flush(b->program->keeper, info);
    if (e == ERR_OK)
        e = store_backup(keeper_store(b->program->keeper), path, info);
    if (e != ERR_OK)
        return e;
    b->fd = open(path, O_RDONLY | O_CLOEXEC);
    int error = errno;
    (void)unlink(path);
    if (b->fd < 0)
        return err_set(info, ERR_SYSTEM, "cannot open the copy: %s", strerrordesc_np(error));
    return ERR_OK;
}

static enum stream_got next_bytes(void *arg, struct buf *out, int *status)
{
    struct backup *b = arg;
    struct err_info info = {0};
    enum err e = b->fd < 0 ? open_copy(b, &info) : ERR_OK;
    if (e != ERR_OK) {
        *status = err_status(e);
        buf_append(out, str_z(info.text));
        return STREAM_FAIL;
    }
    if (!buf_reserve(out, ADMIN_PIECE_BYTES))
        return STREAM_FAIL;
    ssize_t n = read(b->fd, out->p, ADMIN_PIECE_BYTES);
    if (n < 0)
        return STREAM_FAIL;
    out->len = (size_t)n;
    return n > 0 ? STREAM_MORE : STREAM_END;
}

static void release_backup(void *arg)
{
    struct backup *b = arg;
    if (b->fd >= 0)
        close(b->fd);
    snapshot_release(b->snapshot);
    free(b);
}

void admin_backup(struct admin_call *c)
{
    struct backup *b = xcalloc(1, sizeof(*b));
    b->program = c->r->worker->program;
    b->snapshot = snapshot_acquire(c->r->snapshot);
    b->dir = b->snapshot->config->data_dir;
    b->fd = -1;
    struct stream_source source = {.next = next_bytes,
                                   .release = release_backup,
                                   .arg = b,
                                   .content_type = "application/vnd.sqlite3",
                                   .disposition = "attachment; filename=\"ollama2openai.db\""};
    log_info("backup", LOG_STR("id", c->r->id));
    admin_stream_start(c, &source);
}
