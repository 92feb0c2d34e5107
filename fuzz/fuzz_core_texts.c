/*
 * The texts of strangers that core judges; the first byte says which. Properties: a waiting time
 * is sane, a date survives a second reading, a message of classify is one short line of UTF-8
 * without our key, what CORS echoes is what was asked, and Via shows us once we are in it.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "core/classify.h"
#include "core/cors.h"
#include "core/trace.h"

#define NOW_S 1774000000

static void check_retry_after(str text)
{
    int64_t at_s = 0;
    uint32_t wait_s = retry_after_parse(text, NOW_S);
    assert(wait_s <= 3600);
    if (http_date_parse(text, NOW_S, &at_s)) {
        // Years 0 to 9999 and no more.
        assert(at_s >= -62167219200 && at_s <= 253402300800);
        if (at_s > NOW_S && at_s <= NOW_S + 3600)
            assert(wait_s == (uint32_t)(at_s - NOW_S));
        else
            assert(wait_s == 0);
    }
}

static void check_error(const struct api_error *e, str secret)
{
    assert(e->type != NULL && e->message.len > 0 && e->message.len < 1024);
    assert(e->status >= 400 && e->status < 600);
    assert(utf8_valid_prefix(e->message) == e->message.len);
    for (size_t i = 0; i < e->message.len; i++)
        assert((unsigned char)e->message.p[i] >= ' ' && e->message.p[i] != 0x7F);
    assert(!str_contains(e->message, secret));
    assert(!e->no_retry || e->retry_after_s == 0);
    assert(e->retry_after_s <= 120);
}

static void check_classify(str text)
{
    static const int statuses[] = {200, 204, 301, 400, 401, 402, 403, 404, 408,
                                   413, 422, 429, 500, 501, 502, 503, 504, 520};
    if (text.len < 2)
        return;
    unsigned char pick = (unsigned char)text.p[0];
    unsigned char flags = (unsigned char)text.p[1];
    struct arena a;
    struct verdict v;
    const struct attempt attempt = {
        .how = flags & 1 ? ATTEMPT_STATUS : (enum attempt_end)(pick % (ATTEMPT_NOT_DONE + 1)),
        .status = statuses[pick % COUNT_OF(statuses)],
        .json = flags & 2,
        .error_text = str_skip(text, 2),
        .detail = str_skip(text, 2),
        .signin_url = flags & 4,
        .keyed = flags & 8,
        .began = flags & 16,
        .retry_after = flags & 32 ? str_skip(text, 2) : STR(""),
        .model = flags & 64 ? str_skip(text, 2) : STR(""),
        .secret = STR("sk-0123"),
        .now_s = NOW_S,
    };
    arena_init(&a, flags & 128 ? 0 : 1 << 16);
    classify(&a, &attempt, &v);
    check_error(&v.error, attempt.secret);
    assert(v.retry == RETRY_NEVER || !attempt.began);
    assert((v.cool_s > 0) == (v.key == KEY_LIMITED) && v.cool_s <= 3600);
    arena_release(&a);
}

static void check_cors(str text)
{
    str origin;
    str pattern;
    str_cut(text, '\n', &origin, &pattern);
    struct arena a;
    struct cors_policy policy = {.automatic = true};
    struct cors_headers headers;
    arena_init(&a, 1 << 20);
    if (cors_policy_parse(&a, pattern, &policy, NULL) != ERR_OK)
        policy = (struct cors_policy){.automatic = true};
    const struct cors_query query = {.origin = origin};
    enum cors_verdict verdict = cors_decide(&policy, &query);
    assert((verdict == CORS_NONE) == (origin.len == 0));
    const struct cors_preflight preflight = {origin, pattern, true};
    cors_preflight_answer(verdict, &preflight, &headers);
    assert(headers.n <= CORS_FIELDS && (headers.n == 0) == (verdict == CORS_REFUSE));
    for (size_t i = 0; i < headers.n; i++) {
        // Nothing that is echoed can end a header.
        assert(str_find_char(headers.items[i].value, '\n') == headers.items[i].value.len);
        assert(str_find_char(headers.items[i].value, '\r') == headers.items[i].value.len);
    }
    arena_release(&a);
}

static void check_trace(str text)
{
    struct arena a;
    arena_init(&a, 1 << 20);
    str via = trace_via_append(&a, text, false, STR("o2o-me"));
    assert(trace_via_has(via, STR("o2o-me")));
    assert(!trace_via_ok(text) || str_starts(via, text));
    assert(!trace_parent_ok(text) || text.len >= 55);
    assert(!trace_request_id_ok(text) || (text.len >= 1 && text.len <= 128));
    arena_release(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || size > 16384)
        return 0;
    str text = str_of((const char *)data + 1, size - 1);
    switch (data[0] % 4) {
    case 0:
        check_retry_after(text);
        break;
    case 1:
        check_classify(text);
        break;
    case 2:
        check_cors(text);
        break;
    default:
        check_trace(text);
    }
    return 0;
}
