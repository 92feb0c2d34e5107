#include "core/attempts.h"

#include <stdio.h>
#include <string.h>

#define MESSAGE_LIMITED STR("the upstream's rate limit is reached")

void attempts_init(struct attempts *a, uint32_t max_retries)
{
    a->max_retries = max_retries;
}

static str copy_into(char *out, size_t cap, str text)
{
    str kept = str_head(text, utf8_cut(text, cap));
    if (kept.len > 0)
        memcpy(out, kept.p, kept.len);
    return str_of(out, kept.len);
}

static void keep(struct attempts_said *said, const struct api_error *error)
{
    said->error = *error;
    said->error.message = copy_into(said->message, sizeof(said->message), error->message);
    said->error.param = copy_into(said->param, sizeof(said->param), error->param);
}

/* Of refusals that differ the caller gets the one with the highest rank, of equals the last. */
static int rank(const struct api_error *error)
{
    switch (error->status) {
    case 429:
        return 4;
    case 403:
        return 2;
    case 404:
        return 1;
    case 0:
        return 0;
    default:
        return 3; // 502
    }
}

static enum attempts_next stop(struct attempts *a, enum attempts_stop why)
{
    a->stop = why;
    return ATTEMPTS_STOP;
}

static enum attempts_next note_failure(struct attempts *a, const struct verdict *v)
{
    bool second_timeout = v->retry_once && a->timed_out;
    keep(&a->failure, &v->error);
    a->timed_out = a->timed_out || v->retry_once;
    a->counted++;
    if (v->retry == RETRY_NEVER)
        return stop(a, ATTEMPTS_FINAL);
    if (second_timeout || a->counted > a->max_retries)
        return stop(a, ATTEMPTS_USED_UP);
    return ATTEMPTS_NEXT_KEY;
}

static enum attempts_next note_refusal(struct attempts *a, const struct verdict *v,
                                       uint64_t took_ms)
{
    if (rank(&v->error) >= rank(&a->refusal.error))
        keep(&a->refusal, &v->error);
    if (v->key == KEY_LIMITED && (a->wait_s == 0 || v->cool_s < a->wait_s))
        a->wait_s = v->cool_s;
    a->refusals++;
    a->refused_ms += took_ms;
    if (a->refusals >= KEYPOOL_REFUSALS_MAX)
        return stop(a, ATTEMPTS_BOUNDS);
    if (a->refused_ms < ATTEMPTS_REFUSED_MS)
        return ATTEMPTS_NEXT_KEY;
    if (v->host == HOST_NO_CONNECT && !a->detoured) {
        a->detoured = true; // a connect that took all the time says nothing of other hosts
        return ATTEMPTS_NEXT_HOST;
    }
    return stop(a, ATTEMPTS_BOUNDS);
}

enum attempts_next attempts_note(struct attempts *a, const struct verdict *verdict,
                                 uint64_t took_ms)
{
    if (verdict->counts || verdict->retry == RETRY_NEVER)
        return note_failure(a, verdict);
    return note_refusal(a, verdict, took_ms);
}

void attempts_note_no_key(struct attempts *a)
{
    a->stop = ATTEMPTS_NO_KEY;
}

/* ---- what the caller gets ---- */

static struct api_error limited(struct arena *arena, uint32_t wait_s)
{
    struct api_error e = api_error_make(429, MESSAGE_LIMITED);
    classify_set_wait(arena, &e, wait_s > 0 ? wait_s : 1);
    return e;
}

/* Rounded up: who comes a moment early is refused again. */
static uint32_t seconds_of(uint64_t wait_ms)
{
    uint64_t s = (wait_ms + 999) / 1000;
    return s < UINT32_MAX ? (uint32_t)s : UINT32_MAX;
}

struct api_error attempts_no_key_error(struct arena *arena, enum key_pick pick, uint64_t wait_ms)
{
    struct api_error e;
    switch (pick) {
    case PICK_LIMITED:
        return limited(arena, seconds_of(wait_ms));
    case PICK_BUSY:
        e = api_error_make(503, STR("the upstream has failed, and another request tries it now"));
        classify_set_wait(arena, &e, 1);
        return e;
    case PICK_DEAD:
        e = api_error_make(502, STR("the upstream refuses all of our credentials"));
        e.code = "upstream_auth_error";
        e.no_retry = true;
        return e;
    case PICK_REFUSED:
        e = api_error_make(403, STR("no plan of the upstream's includes this model"));
        e.code = "upstream_subscription_required";
        e.no_retry = true;
        return e;
    default:
        e = api_error_make(503, STR("there is no upstream for this request: every key is disabled "
                                    "or none fits; enable or add one"));
        e.code = "no_upstream";
        e.no_retry = true; // until somebody does something
        return e;
    }
}

/* What all keys together have answered. */
static struct api_error sum_of_refusals(const struct attempts *a, struct arena *arena,
                                        enum key_pick pick, uint64_t wait_ms)
{
    struct api_error e = a->refusal.error;
    bool ready = pick == PICK_KEY;
    if (e.status == 429 || (a->stop == ATTEMPTS_NO_KEY && pick == PICK_LIMITED)) {
        uint32_t wait_s = pick == PICK_LIMITED ? seconds_of(wait_ms) : a->wait_s;
        return limited(arena, ready ? 1 : wait_s);
    }
    // Keys that were not tried, as they were refused before: the model is there.
    if (e.status == 404 && a->stop == ATTEMPTS_NO_KEY && pick == PICK_REFUSED)
        return attempts_no_key_error(arena, pick, wait_ms);
    if (ready && a->stop == ATTEMPTS_BOUNDS) {
        e.retry_after_s = 1;
        e.no_retry = false;
    }
    return e;
}

struct api_error attempts_error(const struct attempts *a, struct arena *arena, enum key_pick pick,
                                uint64_t wait_ms)
{
    bool failed = a->failure.error.status != 0;
    bool refused = a->refusal.error.status != 0;
    if (failed && a->stop != ATTEMPTS_BOUNDS) {
        struct api_error e = a->failure.error;
        if (a->stop == ATTEMPTS_USED_UP && e.retry_after_s == 0)
            e.no_retry = true;
        return e;
    }
    if (!refused || (a->stop == ATTEMPTS_NO_KEY && pick == PICK_BUSY))
        return attempts_no_key_error(arena, pick, wait_ms);
    return sum_of_refusals(a, arena, pick, wait_ms);
}

/* ---- the path ---- */

str attempts_entry(uint64_t key_id, str host, const char *result, uint64_t took_ms,
                   char out[ATTEMPTS_ENTRY_BYTES])
{
    char id[24] = "-";
    if (key_id > 0)
        snprintf(id, sizeof(id), "%llu", (unsigned long long)key_id);
    int n = snprintf(out, ATTEMPTS_ENTRY_BYTES, "%s@%.*s %s %llums", id,
                     STR_ARG(str_head(host, 200)), result, (unsigned long long)took_ms);
    return str_of(out, (size_t)n < ATTEMPTS_ENTRY_BYTES ? (size_t)n : ATTEMPTS_ENTRY_BYTES - 1);
}

void attempts_add_entry(struct attempts *a, str entry)
{
    size_t gap = a->path_len > 0 ? 2 : 0;
    if (a->unlisted > 0 || a->path_len + gap + entry.len > sizeof(a->path)) {
        a->unlisted++;
        return;
    }
    memcpy(a->path + a->path_len, ", ", gap);
    memcpy(a->path + a->path_len + gap, entry.p, entry.len);
    a->path_len += gap + entry.len;
}

str attempts_path(const struct attempts *a, struct arena *arena)
{
    str listed = str_of(a->path, a->path_len);
    if (a->unlisted == 0)
        return arena_copy(arena, listed);
    return arena_printf(arena, "%.*s, %u more", STR_ARG(listed), a->unlisted);
}
