#include "app/admin_stream.h"

#include <stdlib.h>

#include "app/keeper.h"
#include "base/crypto.h"
#include "base/xalloc.h"

struct admin_stream {
    struct worker *worker;
    struct admin_call *call; // the worker's only; NULL: it has gone
    struct stream_source source;
    struct buf piece; // handed to and fro
    enum stream_got got;
    int status;
    bool begun;   // the head was sent
    bool waiting; // for the caller; nothing runs on the store's thread
};

static struct store *store_of(const struct admin_stream *s)
{
    return keeper_store(s->worker->program->keeper);
}

static void stream_free(struct admin_stream *s)
{
    if (s->source.secret && s->piece.p != NULL)
        crypto_wipe(s->piece.p, s->piece.cap);
    buf_release(&s->piece);
    s->source.release(s->source.arg);
    free(s);
}

static void release_there(struct store *store, void *arg)
{
    (void)store;
    stream_free(arg);
}

/* Ends it on the store's thread, where its files were opened; or here, once that has ended. */
static void end(struct admin_stream *s)
{
    if (s->call != NULL)
        s->call->stream = NULL;
    if (!store_post(store_of(s), release_there, s))
        stream_free(s);
}

static void ask(struct admin_stream *s);

static void begin(struct admin_stream *s)
{
    struct admin_extras extras = {.content_type = str_z(s->source.content_type),
                                  .disposition = str_z(s->source.disposition)};
    s->begun = true;
    call_begin(s->call, 200, &extras);
}

static void fail(struct admin_stream *s)
{
    if (s->begun)
        exchange_abort(s->call->r->x);
    else
        call_refuse(s->call, s->status, buf_str(&s->piece));
    end(s);
}

static void send_piece(struct admin_stream *s)
{
    struct exchange *x = s->call->r->x;
    if (!s->begun)
        begin(s);
    if (s->got == STREAM_END) {
        exchange_finish_with(x, buf_str(&s->piece));
        end(s);
        return;
    }
    exchange_write(x, buf_str(&s->piece));
    s->waiting = exchange_congested(x);
    if (!s->waiting)
        ask(s);
}

/* On the worker: a piece was made. */
static void deliver(void *arg)
{
    struct admin_stream *s = arg;
    if (s->call == NULL)
        end(s);
    else if (s->got == STREAM_FAIL || !buf_ok(&s->piece))
        fail(s);
    else
        send_piece(s);
}

static void make(struct store *store, void *arg)
{
    struct admin_stream *s = arg;
    (void)store;
    buf_reset(&s->piece);
    s->status = 500;
    s->got = s->source.next(s->source.arg, &s->piece, &s->status);
    loop_post(s->worker->loop, deliver, s);
}

static void ask(struct admin_stream *s)
{
    if (store_post(store_of(s), make, s))
        return;
    buf_reset(&s->piece);
    buf_append(&s->piece, STR("this server is busy; try again soon"));
    s->status = 503;
    fail(s);
}

void admin_stream_start(struct admin_call *c, const struct stream_source *source)
{
    struct admin_stream *s = xcalloc(1, sizeof(*s));
    s->worker = c->r->worker;
    s->call = c;
    s->source = *source;
    buf_init(&s->piece, 2 * ADMIN_PIECE_BYTES);
    c->stream = s;
    ask(s);
}

void admin_stream_resume(struct admin_stream *s)
{
    if (!s->waiting)
        return;
    s->waiting = false;
    ask(s);
}

void admin_stream_leave(struct admin_stream *s)
{
    if (s == NULL)
        return;
    s->call = NULL;
    if (s->waiting)
        end(s); // nothing will come back for it
}
