#include "codec/csv.h"

void csv_init(struct csv *c, str text, char separator)
{
    *c = (struct csv){.rest = text, .separator = separator, .next_line = 1};
    buf_init(&c->row, CSV_ROW_MAX);
}

void csv_release(struct csv *c)
{
    buf_release(&c->row);
}

/* Takes a line end off the rest; at the end of the text there is none to take. */
static bool take_line_end(struct csv *c)
{
    if (c->rest.len == 0)
        return true;
    size_t n = str_starts(c->rest, STR("\r\n")) ? 2 : c->rest.p[0] == '\n' ? 1 : 0;
    c->rest = str_skip(c->rest, n);
    c->next_line += n > 0;
    return n > 0;
}

static enum err take_quoted(struct csv *c, struct err_info *info)
{
    c->rest = str_skip(c->rest, 1);
    for (;;) {
        size_t n = str_find_char(c->rest, '"');
        str part = str_head(c->rest, n);
        if (n == c->rest.len)
            return err_set(info, ERR_SYNTAX, "a quote that opens near line %zu does not close",
                           c->next_line);
        for (size_t i = 0; i < part.len; i++)
            c->next_line += part.p[i] == '\n';
        buf_append(&c->row, part);
        c->rest = str_skip(c->rest, n + 1);
        if (!str_starts(c->rest, STR("\"")))
            return ERR_OK;
        buf_append_char(&c->row, '"');
        c->rest = str_skip(c->rest, 1);
    }
}

static enum err take_plain(struct csv *c, struct err_info *info)
{
    size_t n = 0;
    while (n < c->rest.len && c->rest.p[n] != c->separator && c->rest.p[n] != '\n' &&
           c->rest.p[n] != '"')
        n++;
    if (n < c->rest.len && c->rest.p[n] == '"')
        return err_set(info, ERR_SYNTAX, "a quote inside a field in line %zu", c->next_line);
    str field = str_head(c->rest, n);
    c->rest = str_skip(c->rest, n);
    if (field.len > 0 && field.p[field.len - 1] == '\r' &&
        (c->rest.len == 0 || c->rest.p[0] == '\n'))
        field.len--;
    buf_append(&c->row, field);
    return ERR_OK;
}

enum err csv_next(struct csv *c, struct err_info *info)
{
    while (c->rest.len > 0 && take_line_end(c))
        continue;
    if (c->rest.len == 0)
        return ERR_NOT_FOUND;

    c->line = c->next_line;
    c->n = 0;
    buf_reset(&c->row);
    for (;;) {
        if (c->n == CSV_FIELDS_MAX)
            return err_set(info, ERR_RANGE, "line %zu has more than %d fields", c->line,
                           CSV_FIELDS_MAX);
        enum err e =
            c->rest.len > 0 && c->rest.p[0] == '"' ? take_quoted(c, info) : take_plain(c, info);
        if (e != ERR_OK)
            return e;
        if (!buf_ok(&c->row))
            return err_set(info, ERR_RANGE, "the row in line %zu is too long", c->line);
        c->end[c->n++] = c->row.len;
        if (c->rest.len > 0 && c->rest.p[0] == c->separator)
            c->rest = str_skip(c->rest, 1);
        else if (take_line_end(c))
            return ERR_OK;
        else
            return err_set(info, ERR_SYNTAX, "text behind a quoted field in line %zu",
                           c->next_line);
    }
}

str csv_field(const struct csv *c, size_t i)
{
    if (i >= c->n)
        return (str){0};
    size_t begin = i > 0 ? c->end[i - 1] : 0;
    if (begin == c->end[i])
        return (str){0};
    return str_of(c->row.p + begin, c->end[i] - begin);
}
