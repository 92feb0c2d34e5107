#include "core/dotenv.h"

static bool is_name_char(char c)
{
    char low = ascii_lower(c);
    return (low >= 'a' && low <= 'z') || ascii_is_digit(c) || c == '_' || c == '.' || c == '-';
}

static bool is_name(str s)
{
    if (s.len == 0 || ascii_is_digit(s.p[0]))
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (!is_name_char(s.p[i]))
            return false;
    }
    return true;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Whether nothing, or a comment, follows a closing quote. */
static bool is_rest(str s)
{
    str text = str_trim(s);
    return text.len == 0 || (text.p[0] == '#' && is_blank(s.p[0]));
}

/* `raw` is all that follows the '='. NULL, or what is wrong with it. */
static const char *take_value(str raw, str *ret)
{
    str text = str_trim(raw);
    if (text.len > 0 && (text.p[0] == '"' || text.p[0] == '\'')) {
        char quote = text.p[0];
        str rest;
        if (!str_cut(str_skip(text, 1), quote, ret, &rest))
            return "its quote is not closed";
        return is_rest(rest) ? NULL : "something follows its closing quote";
    }
    for (size_t i = 1; i < raw.len; i++) {
        if (raw.p[i] == '#' && is_blank(raw.p[i - 1])) {
            raw.len = i - 1;
            break;
        }
    }
    *ret = str_trim(raw);
    return NULL;
}

/* Parses what is neither blank nor a comment. NULL, or what is wrong with it. */
static const char *take_line(str line, struct dotenv_entry *ret)
{
    if (str_starts(line, STR("export")) && line.len > 6 && is_blank(line.p[6]))
        line = str_trim(str_skip(line, 6));
    str name;
    str raw;
    if (!str_cut(line, '=', &name, &raw))
        return "it has no '='";
    ret->name = str_trim(name);
    if (!is_name(ret->name))
        return "it does not begin with a name and '='";
    return take_value(raw, &ret->value);
}

static size_t count_lines(str text)
{
    size_t n = 1;
    for (size_t i = 0; i < text.len; i++)
        n += text.p[i] == '\n';
    return n;
}

enum err dotenv_parse(struct arena *a, str text, struct dotenv *ret, struct err_info *info)
{
    if (str_starts(text, STR("\xEF\xBB\xBF"))) // byte order mark
        text = str_skip(text, 3);
    struct dotenv_entry *items = arena_new(a, struct dotenv_entry, count_lines(text));
    if (items == NULL)
        return err_set(info, ERR_TOO_LARGE, ".env is too large");
    size_t n = 0;
    for (size_t number = 1; text.len > 0; number++) {
        str line;
        str_cut(text, '\n', &line, &text);
        if (str_ends(line, STR("\r")))
            line.len--;
        line = str_trim(line);
        if (line.len == 0 || line.p[0] == '#')
            continue;
        struct dotenv_entry *entry = &items[n];
        const char *wrong =
            str_find_char(line, '\0') < line.len ? "it holds a zero byte" : take_line(line, entry);
        if (wrong != NULL)
            return err_set(info, ERR_SYNTAX, ".env line %zu: %s", number, wrong);
        entry->line = number;
        n++;
    }
    *ret = (struct dotenv){.items = items, .n = n};
    return ERR_OK;
}

const struct dotenv_entry *dotenv_find(const struct dotenv *env, str name)
{
    for (size_t i = env->n; i > 0; i--) {
        if (str_eq(env->items[i - 1].name, name))
            return &env->items[i - 1];
    }
    return NULL;
}
