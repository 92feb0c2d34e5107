/*
 * admin_work - what a call of the admin side asks for that takes long
 *
 * Lists, imports and all else that looks at many keys or at the disk runs on the store's thread, in
 * order, one at a time, and its answer comes back to the call's worker. A work takes what it needs
 * of the call along (body, query, id), so it does not care whether the caller is still there: what
 * was begun is done, and only the answer is dropped.
 *
 * Threads: start, free and the delivery the worker's; the functions of a work run on the store's.
 */
#ifndef APP_ADMIN_WORK_H
#define APP_ADMIN_WORK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "app/admin_call.h"
#include "app/keeper.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

enum {
    ADMIN_WORKS_MAX = 256, // that wait, of the whole process; beyond it 503
};

#define ADMIN_ANSWER_MAX ((size_t)64 << 20)
#define ADMIN_WORK_ARENA ((size_t)256 << 20)

struct admin_work;
typedef void admin_work_fn(struct admin_work *w);

struct admin_work {
    // the worker's
    struct worker *worker;
    struct admin_call *call;  // NULL: the caller has gone
    admin_work_fn *delivered; // instead of sending the answer; NULL: send it

    // handed from one thread to the other
    admin_work_fn *fn;
    struct program *program;
    struct snapshot *snapshot; // a counted reference
    struct buf body;           // of the request; owned
    size_t charged;
    str query; // in `arena`
    str id;    // in `arena`
    struct arena arena;
    void *arg; // the handler's own

    // the answer
    int status;
    struct buf out;
    str content_type; // static; empty: JSON
    str disposition;  // in `arena`
};

/* Takes body, query and id of the call and has fn run; answers 503 itself if too much waits. */
void admin_work_start(struct admin_call *c, admin_work_fn *fn);

/* As that, with a pointer of the handler's, and `delivered` (may be NULL) for the answer. Returns
 * false if it was refused and answered. */
bool admin_work_start_with(struct admin_call *c, admin_work_fn *fn, admin_work_fn *delivered,
                           void *arg);

/* The call has gone. */
void admin_work_leave(struct admin_work *w);

/* Sends the work's answer to its call. */
void admin_work_send(struct admin_work *w);

/* For fn: sets {"error":"…"} with this status as the answer. */
void work_refuse(struct admin_work *w, int status, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* For fn: the same for an error of a decoder or of the store's. */
void work_fail(struct admin_work *w, enum err e, const struct err_info *info);

/* For fn: the key that the path names; 0 if there is none, and 404 is the answer. */
uint64_t work_key_id(struct admin_work *w);

static inline struct keypool *work_pool(const struct admin_work *w)
{
    return keeper_pool(w->program->keeper);
}

#endif
