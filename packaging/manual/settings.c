/*
 * settings - writes the settings' part of the manual from the table that the program reads them by
 *
 *   manual_settings markdown   the table of docs/configuration.md
 *   manual_settings man        the list of ollama2openai(1)
 */
#include <stdio.h>
#include <string.h>

#include "core/config_table.h"

#define EXIT_USAGE 64

/* What the table leaves empty has a meaning of its own. */
static str fallback_of(const struct config_row *row)
{
    if (row->fallback.len > 0)
        return row->fallback;
    return STR("empty");
}

/* Appends `text` with the characters of the format that mean something kept from doing so. */
static void put(struct buf *out, const char *text, bool markdown)
{
    for (const char *p = text; *p != '\0'; p++) {
        if (markdown ? *p == '|' || *p == '*' : *p == '\\' || *p == '-')
            buf_append(out, STR("\\"));
        buf_append(out, str_of(p, 1));
    }
}

static void put_meaning(struct buf *out, const struct config_row *row, bool markdown)
{
    put(out, row->help, markdown);
    if (row->more != NULL) {
        buf_append(out, STR(". "));
        put(out, row->more, markdown);
    }
    if (row->flags & CONFIG_FROM_FILE)
        buf_printf(out, ". %.*s_FILE names a file that holds it", STR_ARG(row->name));
    if (row->flags & CONFIG_FIXED)
        buf_append(out, STR(". Needs a restart"));
}

static void put_allowed(struct buf *out, const struct config_row *row, const char *otherwise)
{
    size_t before = out->len;
    config_allowed(row, out);
    if (out->len == before)
        buf_append(out, str_z(otherwise));
}

static void write_markdown(struct buf *out)
{
    buf_append(out, STR("| variable | default | allowed | meaning |\n| --- | --- | --- | --- |\n"));
    for (size_t i = 0; i < CONFIG_ROWS; i++) {
        const struct config_row *row = &CONFIG_TABLE[i];
        buf_printf(out, "| `%.*s` | %.*s | ", STR_ARG(row->name), STR_ARG(fallback_of(row)));
        put_allowed(out, row, "text");
        buf_append(out, STR(" | "));
        put_meaning(out, row, true);
        buf_append(out, STR(" |\n"));
    }
}

static void write_man(struct buf *out)
{
    for (size_t i = 0; i < CONFIG_ROWS; i++) {
        const struct config_row *row = &CONFIG_TABLE[i];
        buf_printf(out, ".TP\n.B %.*s\n", STR_ARG(row->name));
        put_meaning(out, row, false);
        buf_append(out, STR(". Allowed: "));
        put_allowed(out, row, "text");
        buf_printf(out, "; default: %.*s.\n", STR_ARG(fallback_of(row)));
    }
}

int main(int argc, char **argv)
{
    bool markdown = argc == 2 && strcmp(argv[1], "markdown") == 0;
    if (!markdown && (argc != 2 || strcmp(argv[1], "man") != 0)) {
        fputs("usage: manual_settings markdown | man\n", stderr);
        return EXIT_USAGE;
    }
    struct buf out;
    buf_init(&out, 65536);
    if (markdown)
        write_markdown(&out);
    else
        write_man(&out);
    bool ok = buf_ok(&out) && fwrite(out.p, 1, out.len, stdout) == out.len && fflush(stdout) == 0;
    buf_release(&out);
    return ok ? 0 : 1;
}
