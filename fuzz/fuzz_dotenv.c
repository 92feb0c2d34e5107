/*
 * Properties: names and values are slices of the text, in its order and without line ends; a value
 * quoted and read again is the same; a refusal says the line and nothing of it; and whatever the
 * text, loading settings from it either makes a whole snapshot or one sentence.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "core/config.h"
#include "core/dotenv.h"

static void check_slice(str outer, str s, const char **at)
{
    assert(s.p >= *at && s.p + s.len <= outer.p + outer.len);
    assert(str_find_char(s, '\n') == s.len && str_find_char(s, '\0') == s.len);
    *at = s.p + s.len;
}

/* Writes the entry out again and reads it back. */
static void check_round_trip(const struct dotenv_entry *entry)
{
    char quote = str_find_char(entry->value, '"') < entry->value.len ? '\'' : '"';
    if (str_find_char(entry->value, quote) < entry->value.len)
        return; // both kinds inside: there is no way to write it
    struct arena a;
    struct dotenv again;
    arena_init(&a, 1 << 20);
    str line = arena_printf(&a, "export %.*s = %c%.*s%c # x", STR_ARG(entry->name), quote,
                            STR_ARG(entry->value), quote);
    enum err e = dotenv_parse(&a, line, &again, NULL);
    assert(e == ERR_OK && again.n == 1);
    assert(str_eq(again.items[0].name, entry->name));
    assert(str_eq(again.items[0].value, entry->value));
    arena_release(&a);
}

static void check_parse(str text)
{
    struct arena a;
    struct dotenv env;
    struct err_info info = {0};
    arena_init(&a, 1 << 20);
    enum err e = dotenv_parse(&a, text, &env, &info);
    if (e == ERR_OK) {
        const char *at = text.p;
        for (size_t i = 0; i < env.n; i++) {
            check_slice(text, env.items[i].name, &at);
            check_slice(text, env.items[i].value, &at);
            check_round_trip(&env.items[i]);
            assert(dotenv_find(&env, env.items[i].name) >= &env.items[i]);
        }
    } else {
        assert(str_starts(str_z(info.text), STR(".env ")));
    }
    arena_release(&a);
}

static void ignore_line(void *arg, str name, str value, str origin)
{
    (void)arg;
    assert(name.len > 0 && value.len > 0 && origin.len > 0);
}

static void check_load(str text)
{
    const struct config_sources sources = {.dotenv = text};
    struct config *cfg = NULL;
    struct err_info info = {0};
    if (config_load(&sources, &cfg, &info) != ERR_OK) {
        assert(info.text[0] != '\0' && cfg == NULL);
        assert(strpbrk(info.text, "\r\n") == NULL);
        return;
    }
    assert(cfg->port >= 1 && cfg->port <= 65535 && cfg->host.len > 0 && cfg->key_file.len > 0);
    assert((cfg->tls_cert.len > 0) == (cfg->tls_key.len > 0));
    config_describe(cfg, ignore_line, NULL);

    struct config *next = NULL;
    const struct config_reload same = {.old = cfg, .sources = &sources};
    enum err e = config_reload(&same, &next, NULL);
    assert(e == ERR_OK && next->port == cfg->port);
    config_free(cfg);
    config_free(next);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool ready;
    if (!ready)
        ready = crypto_init() == ERR_OK;
    str text = str_of((const char *)data, size);
    if (size > 16384)
        return 0;
    check_parse(text);
    check_load(text);
    return 0;
}
