#include "app/admin_call.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "app/admin_stream.h"
#include "app/admin_view.h"
#include "app/admin_work.h"
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
    struct arena arena; // for the password
    str password;       // as it was said again
    struct key_ids ids;
    size_t at;
    size_t written;
};

static void export_free(void *arg)
{
    struct export *ex = arg;
    if (ex->password.len > 0)
        crypto_wipe((char *)ex->password.p, ex->password.len); // our own copy
    key_ids_release(&ex->ids);
    arena_release(&ex->arena);
    free(ex);
}

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
    while (ex->at < ex->ids.n && out->len < ADMIN_PIECE_BYTES)
        ex->written += keypool_look(pool, ex->ids.items[ex->at++], now_ms, put_line, out);
    return ex->at < ex->ids.n ? STREAM_MORE : STREAM_END;
}

static void end_export(void *arg)
{
    struct export *ex = arg;
    log_warn("keys_exported", LOG_INT("count", ex->written));
    export_free(ex);
}

static void start_export(struct admin_call *c)
{
    struct stream_source source = {.next = next_lines,
                                   .release = end_export,
                                   .arg = c->arg,
                                   .content_type = "text/plain; charset=utf-8",
                                   .disposition = "attachment; filename=\"keys.txt\"",
                                   .secret = true};
    c->arg = NULL;
    c->release_arg = NULL;
    admin_stream_start(c, &source);
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

/* On the store's thread: the body may be long, and a filter looks at every key. */
static void read_export(struct admin_work *w)
{
    struct admin_export asked;
    struct err_info info = {0};
    enum err e = admin_read_export(&w->arena, w->body.p, w->body.len, &asked, &info);
    if (e != ERR_OK) {
        work_fail(w, e, &info);
        return;
    }
    struct export *ex = xcalloc(1, sizeof(*ex));
    ex->program = w->program;
    arena_init(&ex->arena, (size_t)64 << 10);
    ex->password = arena_copy(&ex->arena, asked.password);
    find_which(work_pool(w), &asked.which, &ex->ids);
    w->arg = ex;
}

static void check_password(struct admin_work *w)
{
    struct admin_call *c = w->call;
    struct export *ex = w->arg;
    if (ex == NULL) {
        if (c != NULL)
            admin_work_send(w);
        return;
    }
    if (c == NULL) {
        export_free(ex);
        return;
    }
    c->arg = ex;
    c->release_arg = export_free;
    (void)call_try_password(c, ex->password, on_checked);
}

void admin_keys_export(struct admin_call *c)
{
    (void)admin_work_start_with(c, read_export, check_password, NULL);
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
