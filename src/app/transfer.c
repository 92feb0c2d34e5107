#include "app/transfer.h"

#include <stdio.h>

#include "app/intake.h"
#include "app/keeper.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "codec/keytext.h"
#include "store/files.h"

enum { EXIT_FAILED = 1, EXIT_NOT_ALL = 65, EXIT_RUNNING = 75, WALK_MAX = 1024 };

#define EXPORT_MAX ((size_t)1 << 30)

static int complain(enum err e, const struct config *config, const struct err_info *info)
{
    if (e == ERR_IN_USE) {
        fprintf(stderr,
                "ollama2openai: a server runs on '%.*s': stop it first, or use its admin page\n",
                STR_ARG(config->data_dir));
        return EXIT_RUNNING;
    }
    fprintf(stderr, "ollama2openai: %s\n", info->text);
    return EXIT_FAILED;
}

static void print_skip(void *arg, const struct keyfile_skip *skip)
{
    (void)arg;
    fprintf(stderr, "not taken: %.*s: %.*s\n", STR_ARG(skip->place), STR_ARG(skip->why));
}

int transfer_import(const struct config *config, const char *path)
{
    struct keeper *k = NULL;
    struct err_info info = {0};
    struct intake_result result = {0};
    enum err e = keeper_open(config, &k, &info);
    if (e == ERR_OK)
        e = intake_file(k, config, path, &(struct intake_sink){.on_skip = print_skip}, &result,
                        &info);
    keeper_close(k);
    if (e != ERR_OK)
        return complain(e, config, &info);
    printf("%s (%s): %zu added, %zu there already, %zu not taken\n", path,
           keyfile_format_name(result.format), result.added, result.duplicates, result.skipped);
    return result.skipped > 0 ? EXIT_NOT_ALL : 0;
}

static void put_key(void *arg, const struct key_view *view)
{
    keytext_put_line(arg, view->base_url, view->secret);
}

/* The text of all keys; false if they are too many. */
static bool put_keys(struct keypool *pool, struct buf *out, size_t *ret_n)
{
    struct key_summary summary;
    uint64_t now_ms = clock_mono_ms();
    keypool_summary(pool, now_ms, &summary);
    *ret_n = summary.total;
    for (uint32_t at = 0; at != KEYPOOL_END && buf_ok(out);)
        at = keypool_walk(pool, at, WALK_MAX, now_ms, put_key, out);
    return buf_ok(out);
}

/* An export of nothing is a wrong DATA_DIR rather than a wish, and must not make one. */
static enum err check_there(const struct config *config, struct err_info *info)
{
    char path[4096];
    int64_t size = 0;
    (void)snprintf(path, sizeof(path), "%.*s/" STORE_FILE, STR_ARG(config->data_dir));
    enum err e = files_look(path, &size, info);
    if (e == ERR_OK && size == 0)
        e = err_set(info, ERR_NOT_FOUND, "there is no database '%s'", path);
    return e;
}

int transfer_export(const struct config *config, const char *path)
{
    struct keeper *k = NULL;
    struct err_info info = {0};
    struct buf text;
    size_t n = 0;
    buf_init(&text, EXPORT_MAX);
    enum err e = check_there(config, &info);
    if (e == ERR_OK)
        e = keeper_open(config, &k, &info);
    if (e == ERR_OK && !put_keys(keeper_pool(k), &text, &n))
        e = err_set(&info, ERR_TOO_LARGE, "the keys are more than %zu MiB", EXPORT_MAX >> 20);
    if (e == ERR_OK)
        e = files_write_new(path, buf_str(&text), &info);
    keeper_close(k);
    if (text.p != NULL)
        crypto_wipe(text.p, text.len);
    buf_release(&text);
    if (e != ERR_OK)
        return complain(e, config, &info);
    printf("%s: %zu keys, in plain\n", path, n);
    return 0;
}
