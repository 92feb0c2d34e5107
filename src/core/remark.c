#include "core/remark.h"

#include "base/attr.h"

/*
 * Capitals do not matter. '*' is a name: letters, digits and a few signs, no blank; '#' is a number
 * of hexadecimal digits and dashes; both of at most REMARK_NAME_BYTES. Of those that fit the
 * longest counts.
 */
static const str KNOWN[] = {
    // about the key, or its account
    STR_C("unauthorized"),
    STR_C("invalid api key"),
    STR_C("invalid key"),
    STR_C("you (*) have reached your session usage limit"),
    STR_C("you (*) have reached your hourly usage limit"),
    STR_C("you (*) have reached your daily usage limit"),
    STR_C("you (*) have reached your weekly usage limit"),
    STR_C("you (*) have reached your monthly usage limit"),
    STR_C("timed out waiting for a concurrent request slot"),
    STR_C("too many requests"),
    STR_C("rate limit exceeded"),
    // about the plan
    STR_C("this model requires a subscription"),
    STR_C("this model requires a subscription, upgrade for access"),
    STR_C("this model requires a subscription, upgrade for access: https://ollama.com/upgrade"),
    STR_C("this model requires a subscription, upgrade for access: https://ollama.com/upgrade "
          "(ref: #)"),
    STR_C("this model uses extra usage only"),
    STR_C("ollama cloud is disabled: remote model is unavailable"),
    STR_C("this server cannot run this remote model"),
    // about the server
    STR_C("internal server error"),
    STR_C("internal server error (ref: #)"),
    STR_C("server overloaded, please retry shortly"),
    STR_C("server overloaded, please retry shortly (ref: #)"),
    STR_C("server busy, please try again"),
    STR_C("server busy, please try again.  maximum pending requests exceeded"),
    STR_C("model is overloaded"),
    STR_C("model failed to load, this may be due to resource limitations or an internal error"),
    STR_C("an error was encountered while running the model"),
    STR_C("an error was encountered while running the model: unexpected EOF"),
    STR_C("model runner has unexpectedly stopped"),
    STR_C("llama-server process has terminated"),
};

static bool is_name_byte(char c)
{
    char lower = ascii_lower(c);
    return (lower >= 'a' && lower <= 'z') || ascii_is_digit(c) || c == '.' || c == '_' ||
           c == '@' || c == '+' || c == '-';
}

static bool is_number_byte(char c)
{
    char lower = ascii_lower(c);
    return ascii_is_digit(c) || (lower >= 'a' && lower <= 'f') || c == '-';
}

static size_t length_of(str text, bool (*is_part)(char c))
{
    size_t n = 0;
    while (n < text.len && n < REMARK_NAME_BYTES && is_part(text.p[n]))
        n++;
    return n;
}

/* How much of the beginning of `text` is `pattern`; 0: it begins with something else. */
static size_t match(str text, str pattern)
{
    size_t at = 0;
    for (size_t i = 0; i < pattern.len; i++) {
        if (pattern.p[i] == '*' || pattern.p[i] == '#') {
            bool name = pattern.p[i] == '*';
            size_t n = length_of(str_skip(text, at), name ? is_name_byte : is_number_byte);
            if (n == 0)
                return 0;
            at += n;
        } else {
            if (at == text.len || ascii_lower(text.p[at]) != ascii_lower(pattern.p[i]))
                return 0;
            at++;
        }
    }
    return at;
}

str remark_known(str text)
{
    size_t longest = 0;
    text = str_trim_ws(text);
    for (size_t i = 0; i < COUNT_OF(KNOWN); i++) {
        size_t n = match(text, KNOWN[i]);
        longest = n > longest ? n : longest;
    }
    return str_head(text, longest);
}

str remark_account(str text)
{
    static const str head = STR_C("you (");
    static const str tail = STR_C(") have reached your");
    text = str_trim_ws(text);
    if (!str_istarts(text, head))
        return (str){NULL, 0};
    str name = str_skip(text, head.len);
    name = str_head(name, length_of(name, is_name_byte));
    bool whole = str_istarts(str_skip(text, head.len + name.len), tail);
    return whole ? name : (str){NULL, 0};
}

static const str WINDOWS[REMARK_WINDOWS] = {
    [WINDOW_SESSION] = STR_C("session"), [WINDOW_HOUR] = STR_C("hourly"),
    [WINDOW_DAY] = STR_C("daily"),       [WINDOW_WEEK] = STR_C("weekly"),
    [WINDOW_MONTH] = STR_C("monthly"),
};

enum remark_window remark_window(str text)
{
    static const str head = STR_C("have reached your ");
    static const str tail = STR_C(" usage limit");
    size_t at = str_find(text, head);
    if (at == text.len)
        return WINDOW_NOT_NAMED;
    str rest = str_skip(text, at + head.len);
    for (int i = WINDOW_SESSION; i < REMARK_WINDOWS; i++) {
        if (str_istarts(rest, WINDOWS[i]) && str_istarts(str_skip(rest, WINDOWS[i].len), tail))
            return (enum remark_window)i;
    }
    return WINDOW_NOT_NAMED;
}

str remark_window_name(enum remark_window window)
{
    return WINDOWS[window];
}
